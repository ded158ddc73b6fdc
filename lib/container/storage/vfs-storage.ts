// SPDX-License-Identifier: MIT
/** A copy of the image's tree: works on every file system, and takes the image's size for each container. */
import type { StorageDriver } from './storage-driver.js';
import {
  changesInTree,
  fillTree,
  mountTree,
  packChangesInTree,
  resumeTree,
  treePath,
  treeView,
} from './tree-storage.js';

export const vfsStorage: StorageDriver = {
  async create(place) {
    fillTree(place, treePath(place));
  },
  mount: mountTree,
  resume: resumeTree,
  view: treeView,
  changes: changesInTree,
  pack: packChangesInTree,
  async remove() {
    // All of it lies in the container's directory.
  },
};
