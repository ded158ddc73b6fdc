// SPDX-License-Identifier: MIT
/** New containers. */

import { existsSync, mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cryptography } from '../../base/builtins.js';
import { StoreLock } from '../../image/store/lock.js';
import { makeShownDirectory, Staging, storeFailure, sweepStagings } from '../../image/store/staging.js';
import type { Store } from '../../image/store/store.js';
import { type ContainerConfig, NEW_STATE } from '../state/config.js';
import { Container, checkName, encode, readWholeContainers } from '../state/containers.js';
import { randomName } from '../state/random-name.js';
import { encodeBlock } from '../state/small-file.js';
import { storageDriver } from '../storage/choose.js';

/** Makes a container; without a name it gets one. Nothing of it is there when this throws. */
export async function createContainer(
  store: Store,
  wanted: Omit<ContainerConfig, 'id' | 'name' | 'created'> & { name?: string | undefined },
): Promise<Container> {
  const all = join(store.root, 'containers');
  if (!existsSync(all)) mkdirSync(all, { recursive: true, mode: 0o700 });
  // Before the work, which may be long, and again when it is done.
  if (wanted.name !== undefined) checkName(store, wanted.name);
  const id = cryptography().randomBytes(32).toString('hex');
  // What commands that were killed have left.
  sweepStagings(store);
  try {
    using staging = Staging.make(store);
    const temporary = join(staging.path, 'container');
    mkdirSync(temporary, { mode: 0o700 });
    for (const part of ['upper', 'work', 'rootfs']) makeShownDirectory(join(temporary, part));
    const storage = await storageDriver(wanted.options.storage);
    await storage.create({ store, directory: temporary, image: wanted.image });
    using _names = await StoreLock.take(store.root, 'containers');
    const name =
      wanted.name ?? randomName(new Set(readWholeContainers(store).map(({ config }) => config.name)));
    checkName(store, name);
    const config: ContainerConfig = { ...wanted, id, name, created: new Date().toISOString() };
    writeFileSync(join(temporary, 'container.json'), encode(config), { mode: 0o600 });
    writeFileSync(join(temporary, 'state.json'), encodeBlock(NEW_STATE), { mode: 0o600 });
    // Whoever removes it on a full disk cannot make one.
    for (const file of ['log', 'lock']) writeFileSync(join(temporary, file), '', { mode: 0o600 });
    renameSync(temporary, join(all, id));
  } catch (failure) {
    throw storeFailure('make a container in', all, failure);
  }
  return new Container(store, id);
}
