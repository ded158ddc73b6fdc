// SPDX-License-Identifier: MIT
/**
 * Which layers of a store are mounted, and where: they may not go. Who mounts an
 * image shares the store's `collection` lock until the mount is in the list, so what
 * is found under that lock held alone is all there is.
 */
import { existsSync, realpathSync } from 'node:fs';
import { relative, sep } from 'node:path';
import { type Digest, isDigest } from '../../image/digest.js';
import type { Store } from '../../image/store.js';
import { type MountRecordFile, readRecords } from '../../mount/registry.js';

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

/** The diff IDs of all of them. */
export function layersInUse(store: Store): ReadonlySet<Digest> {
  return new Set(mountedLayers(store).keys());
}

/** The diff IDs of a mount's layers, bottom first; undefined where it has others than the store's. */
export function layersOfMount(store: Store, { lowers }: MountRecordFile): Digest[] | undefined {
  const ids = lowers.map((lower) => diffIdOf(store, lower));
  return ids.every((id) => id !== undefined) ? (ids.reverse() as Digest[]) : undefined;
}
