// SPDX-License-Identifier: MIT
/**
 * What a container has while it runs, beside its programs: log, cgroup, runtime, root
 * file system, network, files in /etc. Taken in order and given back in the opposite
 * one (`taken`), however far the taking came.
 */
import { watch } from 'node:fs';
import { OverlayError } from '../../base/errors.js';
import type { AsyncRollback } from '../../base/rollback.js';
import type { Mount } from '../../mount/mount.js';
import type { LayerSet } from '../../overlay/layers/layer-set.js';
import type { HeldList } from '../../supervise/held.js';
import { logFault } from '../../supervise/log.js';
import type { Shim } from '../../supervise/shim.js';
import { MS_NODEV } from '../../sys/mounts.js';
import { namespacePath } from '../../sys/namespaces.js';
import { Cgroup } from '../cgroup/cgroup.js';
import type { ContainerNetwork } from '../network/container-network.js';
import { joinNetwork, resumeNetwork } from '../network/network.js';
import { LogWriter } from '../program/log-file.js';
import type { Launch, Runtime } from '../runtime/runtime.js';
import { runtimeFor } from '../runtimes/choose.js';
import type { Stage } from '../stage/stage-process.js';
import { findContainer } from '../state/containers.js';
import { storageDriver } from '../storage/choose.js';
import type { ContainerPlace, ShownRoot, StorageDriver } from '../storage/storage-driver.js';
import { readState } from '../upkeep/recovery.js';
import { composeHosts, fileMounts, writeFiles, writeInPlace } from './container-files.js';
import type { KeptResources } from './container-memory.js';
import { resourcesFor, specForContainer } from './container-spec.js';
import type { Life } from './life.js';

/** Takes all of it; `prepared` is a stage that waits already. Throws an OverlayError. */
export async function takeResources(life: Life, prepared: Stage | undefined): Promise<Resources> {
  const { container, config, taken } = life;
  const { runtime: runtimeName, storage: storageName, privileged } = config.options;
  const log = openLog(life);
  const groups = new Cgroup(container.id);
  taken.push(() => groups.remove());
  const hasGroups = groups.create(resourcesFor(config), runtimeName !== 'builtin');
  const runtime = await runtimeFor(runtimeName, container, prepared);
  taken.push(() => runtime.forget());
  // The mount takes as long as the network: side by side.
  const storage = storageDriver(storageName);
  const flags = privileged ? 0 : MS_NODEV;
  const mounting = storage.then((driver) => driver.mount(placeOf(life), { flags, onFault: logFault }));
  const root = releasing(taken, mounting);
  const network = releasing(taken, joinNetwork(container, config));
  // What one has taken is to be given back when the other fails.
  await Promise.allSettled([root, network]);
  const all = { log, cgroup: hasGroups ? groups : undefined, runtime, storage: await storage };
  const resources = new Resources(life, { ...all, root: await root, network: await network });
  writeFiles(container, config, resources.network.attachment);
  followNetwork(life, resources.network);
  return resources;
}

/** Takes over what an earlier server has left; `mounted` is its mount where we serve it. */
export async function takeOverResources(
  life: Life,
  kept: KeptResources,
  mounted: Mount | undefined,
): Promise<Resources> {
  const { container, config, taken } = life;
  const log = openLog(life);
  const groups = new Cgroup(container.id);
  taken.push(() => groups.remove());
  const runtime = await runtimeFor(config.options.runtime, container);
  taken.push(() => runtime.forget());
  const storage = await storageDriver(config.options.storage);
  const root = await releasing(taken, storage.resume(placeOf(life), mounted));
  const network = await releasing(taken, resumeNetwork(container, config, kept.network, logFault));
  followNetwork(life, network);
  const cgroup = kept.hasCgroup ? groups : undefined;
  return new Resources(life, { log, cgroup, runtime, storage, root, network });
}

function openLog(life: Life): LogWriter | undefined {
  const { container, config, own, taken } = life;
  const { log } = config.options;
  if (log === 'none') return undefined;
  const lacking = (reason: string | undefined): void => life.logLacks(reason);
  const writer = new LogWriter(container.path('log'), log, { marks: own.memory, lacking });
  taken.push(() => writer.close());
  return writer;
}

function placeOf({ container, config }: Life): ContainerPlace {
  return { store: container.store, directory: container.directory, image: config.image };
}

/** What is had is released when everything is given back. */
async function releasing<T extends { release(): Promise<void> }>(
  taken: AsyncRollback,
  having: Promise<T>,
): Promise<T> {
  const one = await having;
  taken.push(() => one.release());
  return one;
}

/** Whoever comes to the bridge or leaves it is found in the container's /etc/hosts, or no more. */
function followNetwork({ container, config, taken }: Life, { attachment }: ContainerNetwork): void {
  if (attachment === undefined) return;
  const update = (): void => {
    try {
      writeInPlace(container.path('hosts'), composeHosts(container, config, attachment.address));
    } catch (failure) {
      logFault(`/etc/hosts: ${(failure as Error).message}`);
    }
  };
  const watcher = watch(container.store.root, (_, name) => {
    if (name === 'network.json') update();
  });
  taken.push(() => watcher.close());
}

/** What was taken. */
interface Taken {
  /** Undefined where there is none. */
  log: LogWriter | undefined;
  /** Undefined where the user may have none. */
  cgroup: Cgroup | undefined;
  runtime: Runtime;
  storage: StorageDriver;
  root: ShownRoot;
  network: ContainerNetwork;
}

export class Resources {
  constructor(
    private readonly life: Life,
    private readonly all: Taken,
  ) {}

  get log(): LogWriter | undefined {
    return this.all.log;
  }

  get cgroup(): Cgroup | undefined {
    return this.all.cgroup;
  }

  get runtime(): Runtime {
    return this.all.runtime;
  }

  get network(): ContainerNetwork {
    return this.all.network;
  }

  /** What the container has now. */
  get view(): LayerSet {
    return this.all.storage.view(placeOf(this.life));
  }

  /** What the next server needs to go on with it. */
  keepIn(list: HeldList): KeptResources {
    const { cgroup, network, root } = this.all;
    const { held } = root;
    return {
      hasCgroup: cgroup !== undefined,
      network: network.keepIn(list),
      mount: held && {
        state: list.add(held.state),
        device: list.add(held.device),
        descriptors: held.descriptors.map((fd) => list.add(fd)),
      },
    };
  }

  keptBy(shim: Shim): void {
    this.all.root.keptBy?.(shim);
  }

  /** What a start of the program needs of it, as the container is now. */
  async launch(): Promise<Launch> {
    const { container, config } = this.life;
    const spec = specForContainer(container, config, {
      view: this.view,
      files: fileMounts(container, config),
      cgroupsPath: this.cgroup?.specPath,
      networkPath: await this.#networkPath(),
    });
    return {
      spec,
      rootfs: container.path('rootfs'),
      cgroupFiles: this.cgroup?.processFiles ?? [],
      hasInput: config.options.interactive,
      connect: this.network.connect,
    };
  }

  async #networkPath(): Promise<string | undefined> {
    const { container, config } = this.life;
    const [kind, other] = config.options.network.split(':');
    if (kind !== 'container') return undefined;
    const joined = findContainer(container.store, other);
    const { status, pid } = await readState(joined);
    if (status === 'running' || status === 'paused') return namespacePath(pid, 'network');
    throw new OverlayError({
      operation: 'join the network of',
      path: other,
      reason: `it is ${status}`,
      remedy: 'start it first',
    });
  }
}
