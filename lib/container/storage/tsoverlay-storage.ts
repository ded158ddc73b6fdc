// SPDX-License-Identifier: MIT
/** The default: the merged view is served by this process. */
import { join } from 'node:path';
import { OverlayError } from '../../base/errors.js';
import { type Mount, mount } from '../../mount/mount.js';
import { type AnnouncedMount, announceMount } from '../../mount/server.js';
import type { LayerSet } from '../../overlay/layers/layer-set.js';
import { removeServerFiles } from '../../supervise/server-files.js';
import type { ShownRoot, StorageDriver } from './storage-driver.js';
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

/** In the list of mounts, until it is released. */
async function show(mounted: Mount, options: LayerSet): Promise<ShownRoot> {
  let announced: AnnouncedMount;
  try {
    announced = await announceMount(mounted, options);
  } catch (failure) {
    await unmount(mounted);
    throw failure;
  }
  let isGone = false;
  void mounted.ended.then(() => {
    isGone = true;
  });
  return {
    held: mounted.held,
    keptBy: announced.keptBy,
    async release() {
      await announced.close();
      removeServerFiles(process.pid);
      // An earlier server may have come so far.
      if (!isGone) await unmount(mounted);
    },
  };
}

export const tsoverlayStorage: StorageDriver = {
  async create() {
    // An empty upper is all it needs.
  },

  async mount(place, { flags, onFault }) {
    const layers = writableLayers(place);
    const source = place.image.name;
    const target = join(place.directory, 'rootfs');
    return show(await mount(target, { ...layers, flags, source, onFault, kept: 'by owner' }), layers);
  },

  resume: (place, resumed) => show(resumed!, writableLayers(place)),

  view: readableLayers,
  changes: changesInUpper,
  pack: packChangesInUpper,

  async remove() {
    // All of it lies in the container's directory.
  },
};
