// SPDX-License-Identifier: MIT
/** A copy of the image's tree: works on every file system, and takes the image's size for each container. */
import type { StorageDriver } from './storage-driver.js';
import { fillTree, treePath, treeStorage } from './tree-storage.js';

export const vfsStorage: StorageDriver = {
  async create(place) {
    fillTree(place, treePath(place));
  },
  ...treeStorage,
  async remove() {
    // All of it lies in the container's directory.
  },
};
