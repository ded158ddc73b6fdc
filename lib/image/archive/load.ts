// SPDX-License-Identifier: MIT
/** Images from archives and layouts of both kinds: OCI's and Docker's. */
import { OverlayError } from '../../base/errors.js';
import { StoreLock } from '../store/lock.js';
import { Staging } from '../store/staging.js';
import type { Store } from '../store/store.js';
import { archiveLimit } from '../unpack/unpack.js';
import { openArchive } from './archive-file.js';
import { loadDockerList } from './load-docker.js';
import { loadLayout } from './load-layout.js';
import type { LoadedImage, LoadOptions } from './loading.js';

/** Loads all images of an archive (`-` is standard input). Throws an OverlayError; what was whole by then stays. */
export async function loadImages(store: Store, path: string, options: LoadOptions): Promise<LoadedImage[]> {
  using _lock = await StoreLock.take(store.root, 'collection', true);
  using staging = Staging.make(store);
  const archive = await openArchive(path, staging.path, archiveLimit(options.limits));
  const index = archive.document('index.json');
  // Awaited here: lock and staging are given up when this function is left.
  if (index !== undefined) return await loadLayout(store, archive, index, path, options);
  const list = archive.document('manifest.json');
  if (list !== undefined) return await loadDockerList(store, archive, list, options);
  throw new OverlayError({
    operation: 'load',
    path: archive.what,
    reason: 'it holds neither index.json nor manifest.json, so it is no archive of images',
    remedy: 'a root file system is taken by `tsoverlay import`',
  });
}
