// SPDX-License-Identifier: MIT
/** Whether a store is what it should be: every blob is what its name says, every image has all that it names. */
import { createReadStream, existsSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { OverlayError } from '../../base/errors.js';
import { type Digest, Hasher } from '../model/digest.js';
import type { Descriptor } from '../model/manifest.js';
import { listBlobs, reachableFrom, reachableIn, removeLayer } from './collect.js';
import { type Image, REFERENCE_NAME, readImage, readIndex, writeIndex } from './images.js';
import { listLayers, readLayer } from './layers.js';
import { StoreLock } from './lock.js';
import { abandonedStagings, sweepStagings } from './staging.js';
import type { Store } from './store.js';

export interface StoreFinding {
  kind: 'damaged list' | 'damaged blob' | 'damaged layer' | 'broken image' | 'leftover' | 'garbage';
  /** What it is about: a path, or an image's name. */
  subject: string;
  what: string;
  repaired: boolean;
}

type Add = (kind: StoreFinding['kind'], subject: string, what: string, repaired?: boolean) => void;

async function digestOfFile(path: string): Promise<Digest> {
  const hasher = new Hasher();
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 }))
    hasher.update(chunk as Buffer);
  return hasher.digest();
}

/**
 * Looks the store through; with `repair` damaged content is removed, and images
 * that lost something go from the list, so that they can be pulled again. What
 * nothing names is reported and is no fault (`tsoverlay image prune` removes it).
 * `inUse` is asked, under the lock, for the layers that are mounted; they stay.
 */
export async function checkStore(
  store: Store,
  repair: boolean,
  inUse: () => ReadonlySet<Digest>,
): Promise<StoreFinding[]> {
  using _lock = await StoreLock.take(store.root, 'collection');
  using _names = await StoreLock.take(store.root, 'names');
  const findings: StoreFinding[] = [];
  const add: Add = (kind, subject, what, repaired = false) =>
    findings.push({ kind, subject, what, repaired });
  const manifests = checkList(store, repair, add);
  await checkBlobs(store, repair, add);
  checkLayers(store, repair, inUse(), add);
  const whole = checkImages(store, manifests, repair, add);
  checkLeftovers(store, repair, add);
  checkGarbage(store, whole, add);
  return findings;
}

/** A damaged list is set aside: the images in it can be pulled or loaded again without fetching their layers. */
function checkList(store: Store, repair: boolean, add: Add): readonly Descriptor[] {
  try {
    return readIndex(store).manifests;
  } catch (failure) {
    if (!(failure instanceof OverlayError)) throw failure;
    add('damaged list', store.indexPath, failure.reason ?? failure.message, repair);
    if (repair) {
      if (existsSync(store.indexPath)) renameSync(store.indexPath, `${store.indexPath}.damaged`);
      writeIndex(store, { schemaVersion: 2, manifests: [] });
    }
    return [];
  }
}

async function checkBlobs(store: Store, repair: boolean, add: Add): Promise<void> {
  for (const digest of listBlobs(store)) {
    const path = store.blobPath(digest);
    const found = await digestOfFile(path);
    if (found === digest) continue;
    add('damaged blob', path, `its digest is ${found}`, repair);
    if (repair) rmSync(path);
  }
}

function checkLayers(store: Store, repair: boolean, inUse: ReadonlySet<Digest>, add: Add): void {
  for (const diffId of listLayers(store)) {
    const problem = layerProblem(store, diffId);
    if (problem === undefined) continue;
    const mend = repair && !inUse.has(diffId);
    add(
      'damaged layer',
      store.layerPath(diffId),
      inUse.has(diffId) ? `${problem}; it is mounted` : problem,
      mend,
    );
    if (mend) removeLayer(store, diffId);
  }
}

function layerProblem(store: Store, diffId: Digest): string | undefined {
  if (!existsSync(store.diffPath(diffId))) return 'its directory is missing';
  try {
    return readLayer(store, diffId)?.diffId === diffId
      ? undefined
      : 'layer.json is missing or of another layer';
  } catch (failure) {
    return (failure as OverlayError).reason;
  }
}

function checkImages(store: Store, manifests: readonly Descriptor[], repair: boolean, add: Add): Image[] {
  const whole: Image[] = [];
  const broken = new Set<Digest>();
  for (const { digest, annotations } of manifests) {
    const image = readWhole(store, digest);
    if (typeof image !== 'string') {
      whole.push(image);
      continue;
    }
    add('broken image', annotations?.[REFERENCE_NAME] ?? digest, image, repair);
    broken.add(digest);
  }
  if (repair && broken.size > 0) {
    const kept = manifests.filter(({ digest }) => !broken.has(digest));
    writeIndex(store, { schemaVersion: 2, manifests: kept });
  }
  return whole;
}

/** The image, or what it lacks. */
function readWhole(store: Store, digest: Digest): Image | string {
  try {
    const image = readImage(store, digest);
    const { blobs, layers } = reachableFrom([image]);
    const blob = [...blobs].find((needed) => !store.hasBlob(needed));
    const layer = [...layers].find((needed) => !store.hasLayer(needed));
    if (blob !== undefined) return `the blob ${blob} is missing`;
    return layer === undefined ? image : `the layer ${layer} is not unpacked`;
  } catch (failure) {
    if (failure instanceof OverlayError) return failure.message;
    throw failure;
  }
}

function checkLeftovers(store: Store, repair: boolean, add: Add): void {
  for (const path of abandonedStagings(store))
    add('leftover', path, 'who made it was ended before it was whole', repair);
  if (repair) sweepStagings(store);
}

function checkGarbage(store: Store, images: readonly Image[], add: Add): void {
  const { blobs, layers } = reachableIn(store, images);
  for (const digest of listBlobs(store)) {
    if (!blobs.has(digest)) add('garbage', join('blobs/sha256', digest.slice(7)), 'nothing names it');
  }
  for (const diffId of listLayers(store)) {
    if (!layers.has(diffId)) add('garbage', join('layers', diffId.slice(7)), 'nothing names it');
  }
}
