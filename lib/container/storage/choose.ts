// SPDX-License-Identifier: MIT
/** The storage driver of a name. */
import type { StorageName } from '../state/names.js';
import type { StorageDriver } from './storage-driver.js';

/** Each is loaded when it is used. */
export async function storageDriver(name: StorageName): Promise<StorageDriver> {
  switch (name) {
    case 'tsoverlay':
      return (await import('./tsoverlay-storage.js')).tsoverlayStorage;
    case 'overlay':
      return (await import('./kernel-storage.js')).kernelStorage;
    case 'btrfs':
      return (await import('./btrfs-storage.js')).btrfsStorage;
    case 'vfs':
      return (await import('./vfs-storage.js')).vfsStorage;
  }
}
