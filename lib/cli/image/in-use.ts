// SPDX-License-Identifier: MIT
/** Which layers of a store are mounted, and where: they may not go. */
import { realpathSync } from 'node:fs';
import { relative, sep } from 'node:path';
import { type Digest, isDigest } from '../../image/digest.js';
import type { Store } from '../../image/store.js';
import { type MountRecordFile, readRecords } from '../../mount/registry.js';

/** By diff ID: the targets of the mounts that have it. */
export function mountedLayers(store: Store): Map<Digest, string[]> {
  const users = new Map<Digest, string[]>();
  const root = realpathSync(store.root);
  for (const { lowers, target } of readRecords()) {
    for (const lower of lowers) {
      const [directory, hex, part] = relative(root, lower).split(sep);
      const diffId = `sha256:${hex}`;
      if (directory !== 'layers' || part !== 'diff' || !isDigest(diffId)) continue;
      users.set(diffId, [...(users.get(diffId) ?? []), target]);
    }
  }
  return users;
}

/** The diff IDs of a mount's layers, bottom first; undefined where it has others than the store's. */
export function layersOfMount(store: Store, { lowers }: MountRecordFile): Digest[] | undefined {
  const root = realpathSync(store.root);
  const ids = lowers.map((lower) => `sha256:${relative(root, lower).split(sep)[1]}`);
  const paths = ids.map((id) => (isDigest(id) ? realpathSync(store.diffPath(id)) : ''));
  return paths.every((path, index) => path === lowers[index]) ? (ids.reverse() as Digest[]) : undefined;
}
