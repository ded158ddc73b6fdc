// SPDX-License-Identifier: MIT
/** `tsoverlay save`, `load`, `import`, `export` and `commit`. */
import { createReadStream, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { OverlayError, UsageError } from '../../base/errors.js';
import { layersOfMount } from '../../container/upkeep/layers-in-use.js';
import { loadImages } from '../../image/archive/load.js';
import { saveImages } from '../../image/archive/save.js';
import { platformOption } from '../../image/model/platform.js';
import { familiarName, fullName, parseName, parseReference } from '../../image/model/reference.js';
import { packView } from '../../image/pack/pack.js';
import {
  type CreatedImage,
  commitUpper,
  type ImageNotes,
  importArchive,
  importDirectory,
} from '../../image/store/create-image.js';
import { findImage, type Image, listImages } from '../../image/store/images.js';
import { StoreLock } from '../../image/store/lock.js';
import { syncBelow } from '../../image/store/staging.js';
import { Store } from '../../image/store/store.js';
import { layersOf, type MountRecordFile, readRecords } from '../../mount/records.js';
import type { LayerSet } from '../../overlay/layers/layer-set.js';
import { openUnion } from '../../overlay/open/open.js';
import { hasTrustedAttributes } from '../../sys/privilege.js';
import { commitContainer, containerNamed, exportContainer } from '../container/contents.js';
import { realTarget } from '../mount/targets.js';
import type {
  CommitArguments,
  ExportArguments,
  ImportArguments,
  LoadArguments,
  SaveArguments,
} from './arguments.js';
import { configChange } from './config-changes.js';
import { limitsFrom } from './limits.js';
import { isStandard, writeOut } from './write-out.js';

export async function save({ root, names, output }: SaveArguments): Promise<void> {
  const store = Store.open(root);
  using _lock = await lockContent(store);
  await writeOut(saveImages(store, names), output);
}

/** Keeps what is read from being collected meanwhile. */
function lockContent(store: Store): Promise<StoreLock> {
  return StoreLock.take(store.root, 'collection', true);
}

export async function load(args: LoadArguments): Promise<void> {
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

function notesFrom(
  args: Pick<ImportArguments, 'message' | 'change'>,
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

export async function importRoot(args: ImportArguments): Promise<void> {
  const store = Store.open(args.root);
  const notes = {
    ...notesFrom(args, args.reference, `import ${args.source}`),
    platform: platformOption(args.platform),
  };
  printCreated(await importFrom(store, args, notes));
}

async function importFrom(store: Store, args: ImportArguments, notes: ImageNotes): Promise<CreatedImage> {
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

function printCreated({ id }: CreatedImage): void {
  process.stdout.write(`${id}\n`);
}

/** A mount's merged view, a container's, or an image's. */
export async function exportView({ root, source, output }: ExportArguments): Promise<void> {
  const target = realTarget(source);
  const record = readRecords().find((known) => known.target === target);
  const container = record === undefined ? containerNamed(root, source) : undefined;
  if (container !== undefined) {
    await exportContainer(container, (archive) => writeOut(archive, output));
    return;
  }
  settleMount('export', record);
  const store = record === undefined ? Store.open(root) : undefined;
  using _lock = store === undefined ? undefined : await lockContent(store);
  const layers = store === undefined ? layersOf(record!) : imageLayers(store, findImage(store, source).image);
  const union = openUnion(layers);
  try {
    await writeOut(packView(union), output);
  } finally {
    union.close();
  }
}

/** What is mounted for an image, top first. */
export function imageLayers(store: Store, { config }: Image): LayerSet {
  return { lowers: store.lowersOf(config.rootfs.diff_ids), userxattr: !hasTrustedAttributes() };
}

export async function commit(args: CommitArguments): Promise<void> {
  const store = Store.open(args.root);
  using _lock = await lockContent(store);
  const path = realTarget(args.source);
  const record = readRecords().find(({ target, upper }) => target === path || upper === path);
  settleMount('commit', record);
  const notes = { ...notesFrom(args, args.reference, `commit ${args.source}`), author: args.author };
  const container = record === undefined ? containerNamed(args.root, args.source) : undefined;
  if (container !== undefined) {
    printCreated(await commitContainer(container, notes, args.pause));
    return;
  }
  const base =
    args.image === undefined ? baseOf(store, record, args.source) : findImage(store, args.image).image;
  const upper = record?.upper ?? path;
  if (statSync(upper, { throwIfNoEntry: false })?.isDirectory() !== true) {
    throw new OverlayError({
      operation: 'commit',
      path: args.source,
      reason: 'it is neither a container nor a mount nor an upper directory',
    });
  }
  // What is mounted knows its own lower layers, wherever the image has them.
  const layers = record?.upper == null ? { ...imageLayers(store, base), upper } : layersOf(record);
  printCreated(await commitUpper(store, base, layers, notes));
}

/**
 * Makes the layers of a live mount, if it is one, tell what the mount shows: what
 * programs wrote by a mapping is in the kernel's cache until it is written back. With
 * copies in the background only the server knows what a file holds.
 */
function settleMount(operation: string, record: MountRecordFile | undefined): void {
  if (record === undefined) return;
  if (record.copyUp !== 'lazy') {
    syncBelow(record.target);
    return;
  }
  throw new OverlayError({
    operation,
    path: record.target,
    reason: 'it is mounted with copyup=lazy, so large files may be unfinished',
    remedy: `unmount it first with \`tsoverlay unmount ${record.target}\`, then give its upper`,
  });
}

/** The image that a mount's lower layers are. */
function baseOf(store: Store, record: MountRecordFile | undefined, source: string): Image {
  const remedy = 'name the image that it was mounted on with --image';
  if (record === undefined) {
    throw new OverlayError({
      operation: 'commit',
      path: source,
      reason: 'it is not mounted, so its image is not known',
      remedy,
    });
  }
  if (record.upper === null) {
    throw new OverlayError({
      operation: 'commit',
      path: source,
      reason: 'it is mounted read-only: there is nothing to commit',
    });
  }
  const layers = layersOfMount(store, record)?.join();
  const image = listImages(store).find(({ config }) => config.rootfs.diff_ids.join() === layers);
  if (image !== undefined) return image;
  throw new OverlayError({
    operation: 'commit',
    path: source,
    reason: 'its layers are those of no image in the store',
    remedy,
  });
}
