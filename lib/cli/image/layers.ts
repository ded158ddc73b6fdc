// SPDX-License-Identifier: MIT
/** `tsoverlay layers` shows what each layer of an image does; `tsoverlay diff` of two images what differs. */
import { toText } from '../../base/bytes.js';
import { shortId } from '../../image/model/digest.js';
import { diffImages } from '../../image/store/diff-images.js';
import { type ExploredLayer, exploreLayers } from '../../image/store/explore.js';
import { findImage } from '../../image/store/images.js';
import { readLayer } from '../../image/store/layers.js';
import { Store } from '../../image/store/store.js';
import { Marks } from '../../overlay/formats/marks.js';
import type { Change } from '../../overlay/inspect/diff.js';
import { openUnion } from '../../overlay/open/open.js';
import type { Arguments } from '../commands/table.js';
import { imageLayers } from '../mount/image-layers.js';
import { decimalSize, table } from '../words/format.js';
import { parseSize } from '../words/sizes.js';
import { historyOf } from './history.js';

interface ShownLayer extends ExploredLayer {
  diffId: string;
  command: string;
}

function explore(store: Store, name: string): ShownLayer[] {
  const { image } = findImage(store, name);
  const diffIds = image.config.rootfs.diff_ids;
  if (diffIds.length === 0) return [];
  const marks = new Marks(readLayer(store, diffIds[0])?.userxattr === true);
  const commands = historyOf(image).filter(({ diffId }) => diffId !== undefined);
  return exploreLayers(
    diffIds.map((diffId) => store.diffPath(diffId)),
    marks,
  ).map((layer, index) => ({
    ...layer,
    diffId: diffIds[index],
    command: (commands[index].entry.created_by ?? '').replaceAll(/\s+/g, ' '),
  }));
}

function count(layer: ExploredLayer, kind: 'A' | 'C' | 'D'): number {
  return layer.changes.filter((change) => change.kind === kind).length;
}

export function layers(args: Arguments<'layers'>): void {
  const explored = explore(Store.open(args.root), args.name);
  const size = explored.reduce((sum, layer) => sum + layer.size, 0);
  const wasted = explored.reduce((sum, layer) => sum + layer.wasted, 0);
  const efficiency = size === 0 ? 1 : (size - wasted) / size;
  if (args.json) printJson(explored, size, wasted, efficiency);
  else printTable(explored, args, size, wasted, efficiency);
  if (args.ci) judge(args, wasted, efficiency);
}

function printJson(explored: readonly ShownLayer[], size: number, wasted: number, efficiency: number): void {
  const shown = explored.map(({ diffId, command, size: bytes, wasted: lost, changes }) => ({
    diffId,
    command,
    size: bytes,
    wasted: lost,
    changes: changes.map((change) => ({ ...change, path: toText(change.path) })),
  }));
  process.stdout.write(`${JSON.stringify({ size, wasted, efficiency, layers: shown }, null, 2)}\n`);
}

const LONGEST_COMMAND = 60;

function printTable(
  explored: readonly ShownLayer[],
  { files, 'no-trunc': whole }: Arguments<'layers'>,
  size: number,
  wasted: number,
  efficiency: number,
): void {
  const cut = (text: string): string =>
    whole || text.length <= LONGEST_COMMAND ? text : `${text.slice(0, LONGEST_COMMAND - 1)}…`;
  const rows = explored.map((layer, index) => [
    String(index + 1),
    whole ? layer.diffId : shortId(layer.diffId as never),
    decimalSize(layer.size),
    String(count(layer, 'A')),
    String(count(layer, 'C')),
    String(count(layer, 'D')),
    decimalSize(layer.wasted),
    cut(layer.command),
  ]);
  process.stdout.write(
    table([['LAYER', 'DIFF ID', 'SIZE', 'ADDED', 'CHANGED', 'REMOVED', 'WASTES', 'COMMAND'], ...rows]),
  );
  if (files) for (const [index, layer] of explored.entries()) printFiles(index + 1, layer);
  const percent = (efficiency * 100).toFixed(1);
  process.stdout.write(
    `\n${decimalSize(size)} in ${explored.length} layers, ${decimalSize(wasted)} of it wasted (efficiency ${percent} %)\n`,
  );
}

function printFiles(number: number, { changes }: ExploredLayer): void {
  process.stdout.write(`\nlayer ${number}\n`);
  for (const { kind, path, size } of changes) {
    const amount = size === 0 ? '' : `  ${decimalSize(size)}`;
    process.stdout.write(`${kind} ${toText(path)}${amount}\n`);
  }
}

/** Sets the exit code when an image wastes more than it may. */
function judge(args: Arguments<'layers'>, wasted: number, efficiency: number): void {
  const failures: string[] = [];
  const most = args['max-wasted'] === undefined ? undefined : parseSize('--max-wasted', args['max-wasted']);
  if (efficiency < args['min-efficiency'])
    failures.push(`efficiency ${efficiency.toFixed(3)} is below ${args['min-efficiency']}`);
  if (most !== undefined && wasted > most) failures.push(`${wasted} bytes are wasted, ${most} are allowed`);
  for (const failure of failures) process.stdout.write(`FAIL: ${failure}\n`);
  if (failures.length === 0) process.stdout.write('PASS\n');
  else process.exitCode = 1;
}

/** What differs from the first image to the second. */
export function diffOfImages(root: string | undefined, before: string, after: string): Change[] {
  const store = Store.open(root);
  const old = openUnion(imageLayers(store, findImage(store, before).image));
  try {
    const now = openUnion(imageLayers(store, findImage(store, after).image));
    try {
      return diffImages(old, now);
    } finally {
      now.close();
    }
  } finally {
    old.close();
  }
}
