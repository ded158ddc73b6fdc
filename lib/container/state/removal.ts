// SPDX-License-Identifier: MIT
/** Taking a container away. */
import { renameSync } from 'node:fs';
import { join } from 'node:path';
import { listImages } from '../../image/images.js';
import { Staging } from '../../image/staging.js';
import { storageDriver } from '../storage/storage-driver.js';
import { removeNamelessVolumes } from '../storage/volumes.js';
import type { Container } from './containers.js';
import { collectUnused } from './layers-in-use.js';

/**
 * Takes a container away with all its changes; with the last container of an image
 * that was removed, its layers go too. The caller has its lock, and nothing of it is
 * mounted. Of one that is damaged what can be removed without its configuration is.
 */
export async function removeContainer(container: Container): Promise<void> {
  const { store } = container;
  const config = container.tryReadConfig();
  {
    using staging = Staging.make(store);
    const directory = join(staging.path, 'container');
    renameSync(container.directory, directory);
    if (config !== undefined) {
      const storage = await storageDriver(config.options.storage);
      await storage.remove({ store, directory, image: config.image });
      removeNamelessVolumes(store, config.options.mounts);
    }
  }
  const isKept = listImages(store).some(({ id }) => id === config?.image.id);
  if (!isKept) await collectUnused(store);
}
