// SPDX-License-Identifier: MIT
/**
 * Snapshots (btrfs-subvolume(8)). The tree of an image is made once, as a
 * subvolume in the store's `btrfs` directory under the chain ID of its layers, and
 * each container gets a snapshot of it. A tree that no container and no image has
 * any more goes with the layers that nothing uses (sweepImageTrees).
 */
import { existsSync, mkdirSync, readdirSync, renameSync, rmdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fromText } from '../../base/bytes.js';
import { check, OverlayError } from '../../base/errors.js';
import { chainIds, type Digest, hexOf } from '../../image/model/digest.js';
import { StoreLock } from '../../image/store/lock.js';
import { Staging } from '../../image/store/staging.js';
import type { Store } from '../../image/store/store.js';
import { Fd, O_DIRECTORY, O_RDONLY, openPath } from '../../sys/files.js';
import { BTRFS_MAGIC, fileSystemType } from '../../sys/mounts.js';
import { runTool } from '../../sys/tools.js';
import type { ContainerPlace, StorageDriver } from './storage-driver.js';
import { fillTree, treePath, treeStorage } from './tree-storage.js';

const subvolume = (...args: string[]): Promise<string> => runTool('btrfs', ['-q', 'subvolume', ...args]);

const treesOf = ({ root }: Store): string => join(root, 'btrfs');

function treeName(layers: readonly Digest[]): string {
  return layers.length === 0 ? 'empty' : hexOf(chainIds(layers).at(-1)!);
}

function requireBtrfs({ root }: Store): void {
  using fd = new Fd(
    check(openPath(fromText(root), O_RDONLY | O_DIRECTORY), { operation: 'open', path: root }),
  );
  if (fileSystemType(fd.number) === BTRFS_MAGIC) return;
  throw new OverlayError({
    operation: 'use storage driver',
    path: 'btrfs',
    reason: `the store ${root} lies on another file system`,
    remedy: 'choose a store on btrfs with --root, or leave out --storage-driver btrfs',
  });
}

/** The image's tree, made where it is missing. */
async function imageTree(place: ContainerPlace): Promise<string> {
  const tree = join(treesOf(place.store), treeName(place.image.layers));
  if (existsSync(tree)) return tree;
  mkdirSync(dirname(tree), { recursive: true, mode: 0o700 });
  using staging = Staging.make(place.store);
  const fresh = join(staging.path, 'tree');
  await subvolume('create', fresh);
  fillTree(place, fresh);
  renameSync(fresh, tree);
  return tree;
}

export const btrfsStorage: StorageDriver = {
  async create(place) {
    requireBtrfs(place.store);
    using _lock = await StoreLock.take(place.store.root, 'btrfs');
    rmdirSync(treePath(place));
    await subvolume('snapshot', await imageTree(place), treePath(place));
  },
  ...treeStorage,
  async remove(place) {
    await subvolume('delete', treePath(place));
  },
};

/** Takes away the trees of images whose layers are not among those kept. */
export async function sweepImageTrees(store: Store, kept: readonly (readonly Digest[])[]): Promise<void> {
  if (!existsSync(treesOf(store))) return;
  using _lock = await StoreLock.take(store.root, 'btrfs');
  const names = new Set(kept.map(treeName));
  for (const name of readdirSync(treesOf(store))) {
    if (!names.has(name)) await subvolume('delete', join(treesOf(store), name));
  }
}
