// SPDX-License-Identifier: MIT
/** `tsoverlay build ls` and `tsoverlay build prune`. */
import { UsageError } from '../../base/errors.js';
import { type KnownMountCache, listMountCaches, removeMountCache } from '../../build/run/mount-cache.js';
import { forgetContexts } from '../../build/source/digest-memo.js';
import { collectUnused } from '../../container/upkeep/layers-in-use.js';
import { type Digest, shortId } from '../../image/model/digest.js';
import { blobSize, layerSize, reachableFrom } from '../../image/store/collect.js';
import { listImages } from '../../image/store/images.js';
import { forgetStep, type KnownStep, listSteps } from '../../image/store/step-cache.js';
import { Store } from '../../image/store/store.js';
import type { Arguments } from '../commands/table.js';
import { treeSize } from '../container/tree-size.js';
import { confirm } from '../words/confirm.js';
import { parseFilters, parseMoment } from '../words/filters.js';
import { age, decimalSize } from '../words/format.js';
import { printListing } from '../words/listing.js';
import { parseSize } from '../words/sizes.js';

interface Kept {
  id: string;
  type: 'step' | 'mount';
  /** Bytes that its removal gives back. */
  size: number;
  used: number;
  what: string;
  /** An image has the layer as well. */
  inUse: boolean;
  /** Answers false where a build is using it. */
  remove(): boolean;
}

function keptStep(store: Store, step: KnownStep, ofImages: ReadonlySet<Digest>): Kept {
  const { diffId, descriptor } = step.layer;
  return {
    id: shortId(step.key),
    type: 'step',
    size: layerSize(store, diffId) + blobSize(store, descriptor.digest),
    used: step.used,
    what: step.what,
    inUse: ofImages.has(diffId),
    remove: () => {
      forgetStep(store, step.key);
      return true;
    },
  };
}

function keptMount(store: Store, cache: KnownMountCache): Kept {
  return {
    id: cache.name.slice(0, 12),
    type: 'mount',
    size: treeSize(cache.path),
    used: cache.used,
    what: `RUN --mount=type=cache,id=${cache.id}`,
    inUse: false,
    remove: () => removeMountCache(store, cache),
  };
}

/** What was used last comes first. */
function listKept(store: Store): Kept[] {
  const { layers } = reachableFrom(listImages(store));
  return [
    ...listSteps(store).map((step) => keptStep(store, step, layers)),
    ...listMountCaches(store).map((cache) => keptMount(store, cache)),
  ].sort((a, b) => b.used - a.used);
}

const COLUMNS = [
  { title: 'ID', field: 'ID' },
  { title: 'TYPE', field: 'Type' },
  { title: 'SIZE', field: 'Size' },
  { title: 'LAST USED', field: 'LastUsed' },
  { title: 'IN USE', field: 'InUse' },
  { title: 'DESCRIPTION', field: 'Description' },
];
const LONGEST_TEXT = 60;

export async function list(args: Arguments<'build ls'>): Promise<void> {
  const rows = listKept(Store.open(args.root)).map(({ id, type, size, used, inUse, what }) => ({
    ID: id,
    Type: type,
    Size: decimalSize(size),
    LastUsed: age(new Date(used).toISOString()),
    InUse: String(inUse),
    Description: what.length > LONGEST_TEXT ? `${what.slice(0, LONGEST_TEXT - 1)}…` : what,
  }));
  printListing(rows, COLUMNS, 'ID', args);
}

export async function prune(args: Arguments<'build prune'>): Promise<void> {
  const filters = parseFilters(args.filter, ['until']);
  const until = Math.min(
    ...(filters.get('until') ?? []).map((text) => parseMoment(text)),
    Number.POSITIVE_INFINITY,
  );
  // What is empty fits into any storage, even none: nothing is kept for its size unless asked for.
  const most = args['keep-storage'] === undefined ? -1 : parseSize('--keep-storage', args['keep-storage']);
  const what = args.all ? 'all that builds keep' : 'all that builds keep and no image has';
  if (!args.force && !(await confirm(`This removes ${what}. Go on?`)))
    throw new UsageError('nothing was removed', 'answer y, or give --force');
  const store = Store.open(args.root);
  let kept = 0;
  const unwanted: Kept[] = [];
  for (const one of listKept(store)) {
    const stays =
      (!args.all && (one.inUse || one.type === 'mount')) || one.used >= until || kept + one.size <= most;
    if (stays) kept += one.size;
    else unwanted.push(one);
  }
  const removed = unwanted.filter((one) => one.remove());
  if (args.all) forgetContexts(store);
  const collected = await collectUnused(store);
  if (collected === undefined)
    process.stderr.write(
      'tsoverlay: others use the store; `tsoverlay image prune` gives the space back later\n',
    );
  for (const { id, what: text } of removed)
    process.stdout.write(`Deleted ${id} ${text.slice(0, LONGEST_TEXT)}\n`);
  const mounts = removed.filter(({ type }) => type === 'mount').reduce((sum, { size }) => sum + size, 0);
  process.stdout.write(`Total reclaimed space: ${decimalSize((collected?.freed ?? 0) + mounts)}\n`);
}
