// SPDX-License-Identifier: MIT
/** A container's files while a command works with them, whether it runs or not. */
import { OverlayError } from '../../base/errors.js';
import { Cgroup } from '../../container/cgroup/cgroup.js';
import { ContainerClient } from '../../container/server/client.js';
import type { ContainerConfig } from '../../container/state/config.js';
import type { Container } from '../../container/state/containers.js';
import { storageDriver } from '../../container/storage/choose.js';
import type { ContainerPlace, StorageDriver } from '../../container/storage/storage-driver.js';
import { writableLayers } from '../../container/storage/upper-storage.js';
import { readState } from '../../container/upkeep/recovery.js';
import { syncBelow } from '../../image/store/staging.js';
import { mountInBackground } from '../../mount/background.js';
import { askServer } from '../../mount/control.js';

export interface Stored {
  config: ContainerConfig;
  place: ContainerPlace;
  storage: StorageDriver;
}

/** What is known of a container's storage without looking at whether it runs. */
export async function storedContainer(container: Container): Promise<Stored> {
  const config = container.readConfig();
  const { store, directory } = container;
  return {
    config,
    place: { store, directory, image: config.image },
    storage: await storageDriver(config.options.storage),
  };
}

/**
 * Reads the container's layers in one state: what programs wrote by mappings is
 * written back first, and with `pause` nothing changes meanwhile.
 */
export async function whileStill<T>(
  container: Container,
  pause: boolean,
  work: (stored: Stored) => T | Promise<T>,
): Promise<T> {
  const stored = await storedContainer(container);
  const { status, pid } = await readState(container);
  if (status !== 'running' && status !== 'paused') return await work(stored);
  const { name } = stored.config;
  // Without a cgroup nothing can be held.
  const isHeld = pause && status === 'running' && new Cgroup(container.id).exists;
  const client = isHeld ? await ContainerClient.connect(container, name) : undefined;
  try {
    await client?.ask({ op: 'pause' });
    try {
      syncBelow(`/proc/${pid}/root`);
      return await work(stored);
    } finally {
      await client?.ask({ op: 'unpause' });
    }
  } finally {
    client?.close();
  }
}

/**
 * Calls `work` with a path at which the container's root file system is: with all
 * that is mounted in it where it runs, else the root file system alone.
 */
export async function withRoot<T>(container: Container, work: (path: string) => Promise<T>): Promise<T> {
  const { status, pid } = await readState(container);
  if (status === 'running' || status === 'paused') return await work(`/proc/${pid}/root`);
  const stored = await storedContainer(container);
  using lock = container.tryLock();
  if (lock === undefined) {
    throw new OverlayError({
      operation: 'open the root file system of',
      path: stored.config.name,
      reason: 'it is just being started or changed by another command',
      remedy: 'try again',
    });
  }
  const takeAway = await mountBeside(stored, container.path('rootfs'));
  try {
    return await work(container.path('rootfs'));
  } finally {
    await takeAway();
  }
}

/** Ours is served by a process of its own: who serves a mount must not wait for it. */
async function mountBeside({ storage, place, config }: Stored, target: string): Promise<() => Promise<void>> {
  if (config.options.storage !== 'tsoverlay')
    return (await storage.mount(place, { flags: 0, onFault: () => undefined })).release;
  const options = { ...writableLayers(place), source: config.image.name };
  const server = await mountInBackground({ target, options });
  return async () => {
    await askServer(server, { command: 'unmount', detach: false }, 0);
  };
}
