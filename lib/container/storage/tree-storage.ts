// SPDX-License-Identifier: MIT
/**
 * What the drivers share that keep a whole tree: it lies in `rootfs`, which is bound
 * onto itself while the container runs, so that its mount can have flags of its own.
 */
import { join } from 'node:path';
import { fromText } from '../../base/bytes.js';
import { check } from '../../base/errors.js';
import type { Rewrite } from '../../image/pack/node.js';
import { packChanges } from '../../image/pack/pack.js';
import { diffImages } from '../../image/store/diff-images.js';
import { type Change, withParents } from '../../overlay/inspect/diff.js';
import type { LayerSet } from '../../overlay/layers/layer-set.js';
import type { Union } from '../../overlay/nodes/union.js';
import { openUnion } from '../../overlay/open/open.js';
import { MS_BIND, MS_REMOUNT, mountFileSystem } from '../../sys/mounts.js';
import { hasTrustedAttributes } from '../../sys/privilege.js';
import { fillFromView } from './fill-from-view.js';
import type { ContainerPlace, MountWish, ShownRoot } from './storage-driver.js';
import { shownByKernel, takeAway } from './take-away.js';
import { imagePaths } from './upper-storage.js';

export const treePath = ({ directory }: ContainerPlace): string => join(directory, 'rootfs');

function treeView(place: ContainerPlace): LayerSet {
  return { lowers: [treePath(place)], userxattr: !hasTrustedAttributes(), whiteout: 'overlay' };
}

function imageView(place: ContainerPlace): LayerSet {
  return { lowers: imagePaths(place), userxattr: !hasTrustedAttributes() };
}

/** Fills an empty directory with what the image shows. */
export function fillTree(place: ContainerPlace, tree: string): void {
  const union = openUnion(imageView(place));
  try {
    fillFromView(union, union.root, tree, place.image.name);
  } finally {
    union.close();
  }
}

async function mountTree(place: ContainerPlace, { flags }: MountWish): Promise<ShownRoot> {
  const tree = treePath(place);
  const story = { operation: 'mount', path: tree };
  check(mountFileSystem(fromText(tree), fromText(tree), '', MS_BIND, ''), story);
  const status = mountFileSystem('none', fromText(tree), '', MS_BIND | MS_REMOUNT | flags, '');
  if (status < 0) takeAway(tree);
  check(status, story);
  return shownByKernel(tree);
}

function withBoth<T>(place: ContainerPlace, work: (before: Union, after: Union) => T): T {
  const before = openUnion(imageView(place));
  try {
    const after = openUnion(treeView(place));
    try {
      return work(before, after);
    } finally {
      after.close();
    }
  } finally {
    before.close();
  }
}

function changesInTree(place: ContainerPlace): Change[] {
  return withBoth(place, (before, after) => withParents(diffImages(before, after, 'times')));
}

function* packChangesInTree(place: ContainerPlace, rewrite?: Rewrite): Generator<Buffer> {
  const changes = changesInTree(place);
  const union = openUnion(treeView(place));
  try {
    yield* packChanges(union, changes, rewrite);
  } finally {
    union.close();
  }
}

/** What all drivers have in common whose containers have whole trees. */
export const treeStorage = {
  mount: mountTree,
  resume: async (place: ContainerPlace) => shownByKernel(treePath(place)),
  view: treeView,
  changes: changesInTree,
  pack: packChangesInTree,
};
