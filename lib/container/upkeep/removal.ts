// SPDX-License-Identifier: MIT
/** Taking a container away. */
import { OverlayError } from '../../base/errors.js';
import { listImages } from '../../image/store/images.js';
import { Staging } from '../../image/store/staging.js';
import type { Container } from '../state/containers.js';
import { storageDriver } from '../storage/choose.js';
import { removeNamelessVolumes } from '../storage/volumes.js';
import { collectUnused } from './layers-in-use.js';
import { cleanUp } from './recovery.js';

/** How long a server may take that is about to end. */
const ENDING_MS = 5000;

/**
 * Takes a container away with all its changes; with the last container of an image
 * that was removed, its layers go too. The caller has its lock, and nothing of it is
 * mounted. Of one that is damaged what can be removed without its configuration is.
 */
export async function removeContainer(container: Container): Promise<void> {
  const { store } = container;
  const config = container.tryReadConfig();
  {
    using removed = Staging.ofRemoved(store, container.directory);
    const directory = removed.path;
    if (config !== undefined) {
      const storage = await storageDriver(config.options.storage);
      await storage.remove({ store, directory, image: config.image });
      removeNamelessVolumes(store, config.options.mounts);
    }
  }
  const isKept = listImages(store).some(({ id }) => id === config?.image.id);
  if (!isKept) await collectUnused(store);
}

/** Removes one that is not running; waits for a server that is about to end. */
export async function discardContainer(container: Container): Promise<void> {
  using lock = await container.lockWithin(ENDING_MS);
  if (lock === undefined) {
    throw new OverlayError({
      operation: 'remove container',
      path: container.id.slice(0, 12),
      reason: 'somebody is using it',
      remedy: 'try again',
    });
  }
  await cleanUp(container);
  await removeContainer(container);
}
