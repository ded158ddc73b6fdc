// SPDX-License-Identifier: MIT
/** The default: the merged view is served by this process. */
import { join } from 'node:path';
import { OverlayError } from '../../base/errors.js';
import { type Mount, mount } from '../../mount/mount.js';
import { removeServerFiles } from '../../mount/registry.js';
import { announceMount } from '../../mount/server.js';
import type { StorageDriver } from './storage-driver.js';
import { changesInUpper, packChangesInUpper, readableLayers, writableLayers } from './upper-storage.js';

/** Programs that a person left in the root file system keep the mount; it goes from the tree all the same. */
async function unmount(mounted: Mount): Promise<void> {
  try {
    await mounted.unmount();
  } catch (failure) {
    if (!(failure instanceof OverlayError) || failure.code !== 'EBUSY') throw failure;
    await mounted.unmount({ detach: true });
  }
}

export const tsoverlayStorage: StorageDriver = {
  async create() {
    // An empty upper is all it needs.
  },

  async mount(place, { flags, onFault }) {
    const options = { ...writableLayers(place), flags, source: place.image.name, onFault };
    const mounted = await mount(join(place.directory, 'rootfs'), options);
    let announced: { close(): Promise<void> };
    try {
      announced = await announceMount(mounted, options);
    } catch (failure) {
      await unmount(mounted);
      throw failure;
    }
    return async () => {
      await announced.close();
      removeServerFiles(process.pid);
      await unmount(mounted);
    };
  },

  view: readableLayers,
  changes: changesInUpper,
  pack: packChangesInUpper,

  async remove() {
    // All of it lies in the container's directory.
  },
};
