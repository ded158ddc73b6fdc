// SPDX-License-Identifier: MIT
/** What of a store is used, what it takes, and what nothing names any more. */
import { readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Digest } from '../model/digest.js';
import { type Image, listImages } from './images.js';
import { listLayers, readLayer } from './layers.js';
import { StoreLock } from './lock.js';
import { Staging, sweepStagings } from './staging.js';
import { listSteps } from './step-cache.js';
import type { Store } from './store.js';

/** Every blob and layer that the images name. */
export interface Reachable {
  blobs: Set<Digest>;
  layers: Set<Digest>;
}

export function reachableFrom(images: readonly Image[]): Reachable {
  const blobs = new Set<Digest>();
  const layers = new Set<Digest>();
  for (const { manifestDigest, manifest, config } of images) {
    blobs.add(manifestDigest).add(manifest.config.digest);
    for (const { digest } of manifest.layers) blobs.add(digest);
    for (const diffId of config.rootfs.diff_ids) layers.add(diffId);
  }
  return { blobs, layers };
}

/** Every blob and layer that images name or builds keep. */
export function reachableIn(store: Store, images: readonly Image[]): Reachable {
  const reachable = reachableFrom(images);
  for (const { layer } of listSteps(store)) {
    reachable.layers.add(layer.diffId);
    reachable.blobs.add(layer.descriptor.digest);
  }
  return reachable;
}

export function listBlobs(store: Store): Digest[] {
  return readdirSync(join(store.root, 'blobs/sha256'))
    .filter((name) => /^[0-9a-f]{64}$/.test(name))
    .map((name) => `sha256:${name}` as Digest);
}

/** Bytes that a layer takes: unpacked, as it is mounted. */
export function layerSize(store: Store, diffId: Digest): number {
  return readLayer(store, diffId)?.size ?? 0;
}

export function blobSize(store: Store, digest: Digest): number {
  return statSync(store.blobPath(digest), { throwIfNoEntry: false })?.size ?? 0;
}

export interface Collected {
  blobs: Digest[];
  layers: Digest[];
  /** Bytes that were given back. */
  freed: number;
}

/**
 * Removes what no image names. Answers undefined where others are adding content
 * just now: then it stays for the next time. `inUse` is asked,
 * under the lock, for the layers that somebody has mounted.
 */
export function collect(store: Store, inUse: () => ReadonlySet<Digest>): Collected | undefined {
  using lock = StoreLock.tryTake(store.root, 'collection', false);
  return lock === undefined ? undefined : collectUnderLock(store, inUse());
}

/** Precondition: the caller has the `collection` lock to itself. */
function collectUnderLock(store: Store, inUse: ReadonlySet<Digest>): Collected {
  sweepStagings(store);
  const reachable = reachableIn(store, listImages(store));
  const layers = listLayers(store).filter((diffId) => !reachable.layers.has(diffId) && !inUse.has(diffId));
  const blobs = listBlobs(store).filter((digest) => !reachable.blobs.has(digest));
  let freed = 0;
  for (const diffId of layers) {
    freed += layerSize(store, diffId);
    removeLayer(store, diffId);
  }
  for (const digest of blobs) {
    freed += blobSize(store, digest);
    rmSync(store.blobPath(digest), { force: true });
  }
  return { blobs, layers, freed };
}

/** Takes the name first, so that nobody sees half a layer. */
export function removeLayer(store: Store, diffId: Digest): void {
  using _removed = Staging.ofRemoved(store, store.layerPath(diffId));
}

export interface ImageUsage {
  image: Image;
  /** Bytes of all its layers, unpacked. */
  size: number;
  /** Of those that other images have too. */
  shared: number;
}

/** What each image takes, and how much of it others take too. */
export function usageOf(store: Store, images: readonly Image[]): ImageUsage[] {
  const users = new Map<Digest, number>();
  const sizes = new Map<Digest, number>();
  for (const { config } of images) {
    for (const diffId of new Set(config.rootfs.diff_ids)) {
      users.set(diffId, (users.get(diffId) ?? 0) + 1);
      if (!sizes.has(diffId)) sizes.set(diffId, layerSize(store, diffId));
    }
  }
  return images.map((image) => {
    const layers = [...new Set(image.config.rootfs.diff_ids)];
    const sum = (ids: readonly Digest[]): number => ids.reduce((total, id) => total + sizes.get(id)!, 0);
    return { image, size: sum(layers), shared: sum(layers.filter((id) => users.get(id)! > 1)) };
  });
}
