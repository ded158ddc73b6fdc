// SPDX-License-Identifier: MIT
/**
 * Which layers of a store are mounted, and where, or belong to containers: they may
 * not go. Who mounts an image or makes a container shares the store's `collection`
 * lock until that is in the list, so what is found under the lock held alone is all
 * there is.
 */
import { existsSync, realpathSync } from 'node:fs';
import { relative, sep } from 'node:path';
import { type Digest, isDigest } from '../../image/model/digest.js';
import { type Collected, collect } from '../../image/store/collect.js';
import { listImages } from '../../image/store/images.js';
import type { Store } from '../../image/store/store.js';
import { type MountRecordFile, readRecords } from '../../mount/records.js';
import { readContainers } from '../state/containers.js';
import { sweepImageTrees } from '../storage/btrfs-storage.js';

/** The diff ID of a mount's layer, if it is one of the store's; either path may lead through symlinks. */
function diffIdOf(store: Store, lower: string): Digest | undefined {
  if (!existsSync(lower)) return undefined;
  const [directory, hex, part] = relative(realpathSync(store.root), realpathSync(lower)).split(sep);
  const diffId = `sha256:${hex}`;
  return directory === 'layers' && part === 'diff' && isDigest(diffId) ? diffId : undefined;
}

/** By diff ID: the targets of the mounts that have it. */
export function mountedLayers(store: Store): Map<Digest, string[]> {
  const users = new Map<Digest, string[]>();
  for (const { lowers, target } of readRecords()) {
    for (const lower of lowers) {
      const diffId = diffIdOf(store, lower);
      if (diffId !== undefined) users.set(diffId, [...(users.get(diffId) ?? []), target]);
    }
  }
  return users;
}

/** The diff IDs of all of them, and of those that containers have. */
export function layersInUse(store: Store): ReadonlySet<Digest> {
  const used = new Set(mountedLayers(store).keys());
  for (const { config } of readContainers(store)) for (const layer of config.image.layers) used.add(layer);
  return used;
}

/** Takes away what neither an image nor a container nor a mount has; undefined where others add content just now. */
export async function collectUnused(store: Store): Promise<Collected | undefined> {
  const collected = collect(store, () => layersInUse(store));
  if (collected !== undefined) {
    const ofImages = listImages(store).map(({ config }) => config.rootfs.diff_ids);
    const ofContainers = readContainers(store).map(({ config }) => config.image.layers);
    await sweepImageTrees(store, [...ofImages, ...ofContainers]);
  }
  return collected;
}

/** The diff IDs of a mount's layers, bottom first; undefined where it has others than the store's. */
export function layersOfMount(store: Store, { lowers }: MountRecordFile): Digest[] | undefined {
  const [first, ...others] = lowers;
  if (others.length === 0 && existsSync(first) && realpathSync(first) === realpathSync(store.emptyPath))
    return [];
  const ids = lowers.map((lower) => diffIdOf(store, lower));
  return ids.every((id) => id !== undefined) ? (ids.reverse() as Digest[]) : undefined;
}
