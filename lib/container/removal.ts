// SPDX-License-Identifier: MIT
/** Taking a container away. */
import { renameSync } from 'node:fs';
import { join } from 'node:path';
import { OverlayError } from '../base/errors.js';
import { listImages } from '../image/images.js';
import { Staging } from '../image/staging.js';
import type { ContainerConfig } from './config.js';
import type { Container } from './containers.js';
import { collectUnused } from './layers-in-use.js';
import { storageDriver } from './storage/storage-driver.js';

/** Undefined where it is damaged: then what can be removed without it is removed. */
function readConfig(container: Container): ContainerConfig | undefined {
  try {
    return container.readConfig();
  } catch (failure) {
    if (failure instanceof OverlayError && container.exists) return undefined;
    throw failure;
  }
}

/**
 * Takes a container away with all its changes; with the last container of an image
 * that was removed, its layers go too. The caller has its lock, and nothing of it is
 * mounted.
 */
export async function removeContainer(container: Container): Promise<void> {
  const { store } = container;
  const config = readConfig(container);
  {
    using staging = Staging.make(store);
    const directory = join(staging.path, 'container');
    renameSync(container.directory, directory);
    if (config !== undefined) {
      const storage = await storageDriver(config.options.storage);
      await storage.remove({ store, directory, image: config.image });
    }
  }
  const isKept = listImages(store).some(({ id }) => id === config?.image.id);
  if (!isKept) await collectUnused(store);
}
