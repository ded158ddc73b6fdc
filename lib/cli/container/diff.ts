// SPDX-License-Identifier: MIT
/** `tsoverlay diff` */
import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import { toText } from '../../base/bytes.js';
import { OverlayError } from '../../base/errors.js';
import { layersOf, readRecords } from '../../mount/records.js';
import { type Change, diffUpper } from '../../overlay/inspect/diff.js';
import { diffLayers } from '../../overlay/inspect/diff-layers.js';
import { openUnion } from '../../overlay/open/open.js';
import type { Arguments } from '../commands/table.js';
import { realTarget } from '../mount/targets.js';

function diffDirectory(path: string): Change[] {
  const upper = resolve(path);
  if (statSync(upper, { throwIfNoEntry: false })?.isDirectory() !== true) {
    throw new OverlayError({
      operation: 'diff',
      path,
      reason: 'it is neither a container nor a mount nor a directory',
      remedy: 'give a container, the target of a mount, or an upper directory',
    });
  }
  const union = openUnion({ lowers: [upper] });
  try {
    return diffUpper(union);
  } finally {
    union.close();
  }
}

async function findChanges({ target: path, other, root }: Arguments<'diff'>): Promise<Change[]> {
  if (other !== undefined) return (await import('../image/layers.js')).diffOfImages(root, path, other);
  const target = realTarget(path);
  const records = readRecords();
  const record =
    records.find((known) => known.target === target) ?? records.find((known) => known.upper === target);
  if (record !== undefined) return diffLayers(layersOf(record));
  const contents = await import('./contents.js');
  const container = contents.containerNamed(root, path);
  return container === undefined ? diffDirectory(path) : contents.changesOf(container);
}

export async function diff(args: Arguments<'diff'>): Promise<void> {
  const { json } = args;
  const changes = await findChanges(args);
  if (json) {
    const shown = changes.map((change) => ({ kind: change.kind, path: toText(change.path) }));
    process.stdout.write(`${JSON.stringify(shown, null, 2)}\n`);
    return;
  }
  for (const { kind, path: changed } of changes) {
    process.stdout.write(
      Buffer.concat([Buffer.from(`${kind} `), Buffer.from(changed, 'latin1'), Buffer.from('\n')]),
    );
  }
}
