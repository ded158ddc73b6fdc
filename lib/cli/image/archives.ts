// SPDX-License-Identifier: MIT
/** `tsoverlay save`, `load` and `import`. */
import { createReadStream, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { OverlayError, UsageError } from '../../base/errors.js';
import { loadImages } from '../../image/archive/load.js';
import { saveImages } from '../../image/archive/save.js';
import { platformOption } from '../../image/model/platform.js';
import { familiarName, fullName, parseName, parseReference } from '../../image/model/reference.js';
import {
  type CreatedImage,
  type ImageNotes,
  importArchive,
  importDirectory,
} from '../../image/store/create-image.js';
import { StoreLock } from '../../image/store/lock.js';
import { Store } from '../../image/store/store.js';
import type { Arguments } from '../commands/table.js';
import { configChange } from './config-changes.js';
import { limitsFrom } from './limits.js';
import { isStandard, writeOut } from './write-out.js';

export async function save({ root, names, output }: Arguments<'save'>): Promise<void> {
  const store = Store.open(root);
  using _lock = await lockContent(store);
  await writeOut(saveImages(store, names), output);
}

/** Keeps what is read from being collected meanwhile. */
export function lockContent(store: Store): Promise<StoreLock> {
  return StoreLock.take(store.root, 'collection', true);
}

export async function load(args: Arguments<'load'>): Promise<void> {
  const path = args.input === undefined || isStandard(args.input) ? '-' : args.input;
  if (path === '-' && process.stdin.isTTY)
    throw new UsageError('there is no archive to load', 'give --input FILE or redirect one');
  const platform = platformOption(args.platform);
  const loaded = await loadImages(Store.open(args.root), path, { platform, limits: limitsFrom(args) });
  for (const { id, name } of loaded) {
    if (args.quiet) process.stdout.write(`${name ?? id}\n`);
    else
      process.stdout.write(
        name === undefined ? `Loaded image ID: ${id}\n` : `Loaded image: ${familiarName(parseName(name))}\n`,
      );
  }
}

export function notesFrom(
  args: Pick<Arguments<'import'>, 'message' | 'change'>,
  reference: string | undefined,
  createdBy: string,
): ImageNotes {
  return {
    name: reference === undefined ? undefined : fullName(parseReference(reference)),
    comment: args.message,
    createdBy,
    configure: configChange(args.change),
  };
}

export async function importRoot(args: Arguments<'import'>): Promise<void> {
  const store = Store.open(args.root);
  const notes = {
    ...notesFrom(args, args.reference, `import ${args.source}`),
    platform: platformOption(args.platform),
  };
  printCreated(await importFrom(store, args, notes));
}

async function importFrom(store: Store, args: Arguments<'import'>, notes: ImageNotes): Promise<CreatedImage> {
  const { source } = args;
  if (isStandard(source))
    return importArchive(store, process.stdin, 'standard input', limitsFrom(args), notes);
  const stat = statSync(source, { throwIfNoEntry: false });
  if (stat === undefined) {
    throw new OverlayError({
      operation: 'import',
      path: source,
      reason: 'there is no such file or directory',
    });
  }
  if (stat.isDirectory()) return importDirectory(store, resolve(source), notes);
  return importArchive(
    store,
    createReadStream(source, { highWaterMark: 256 * 1024 }),
    source,
    limitsFrom(args),
    notes,
  );
}

export function printCreated({ id }: CreatedImage): void {
  process.stdout.write(`${id}\n`);
}
