// SPDX-License-Identifier: MIT
/**
 * What a container has while it runs, beside its programs: log, cgroup, runtime, root
 * file system, network, files in /etc. Taken in order and given back in the opposite
 * one (AsyncRollback), however far the taking came.
 */
import { watch } from 'node:fs';
import { OverlayError } from '../../base/errors.js';
import { AsyncRollback } from '../../base/rollback.js';
import type { HeldMount } from '../../mount/config.js';
import type { Mount } from '../../mount/mount.js';
import type { LayerSet } from '../../overlay/layers/layer-set.js';
import type { HeldList } from '../../supervise/held.js';
import { logFault } from '../../supervise/log.js';
import type { Shim } from '../../supervise/shim.js';
import { MS_NODEV } from '../../sys/mounts.js';
import { namespacePath } from '../../sys/namespaces.js';
import { Cgroup } from '../cgroup/cgroup.js';
import type { ContainerNetwork, KeptNetwork } from '../network/container-network.js';
import { joinNetwork, resumeNetwork } from '../network/network.js';
import { type LogMarks, LogWriter } from '../program/log-file.js';
import type { Launch, Runtime } from '../runtime/runtime.js';
import { runtimeFor } from '../runtimes/choose.js';
import type { Stage } from '../stage/stage-process.js';
import type { ContainerConfig, ContainerState } from '../state/config.js';
import { type Container, findContainer } from '../state/containers.js';
import { storageDriver } from '../storage/choose.js';
import type { ContainerPlace, ShownRoot, StorageDriver } from '../storage/storage-driver.js';
import { readState } from '../upkeep/recovery.js';
import { composeHosts, fileMounts, writeFiles, writeInPlace } from './container-files.js';
import { resourcesFor, specForContainer } from './container-spec.js';

/** For the next server; descriptors are places among what is held. */
export interface KeptResources {
  hasCgroup: boolean;
  network: KeptNetwork;
  mount: HeldMount | undefined;
}

export class ContainerResources {
  readonly #taken = new AsyncRollback();
  readonly #cgroup: Cgroup;
  #hasCgroup = false;
  #network: ContainerNetwork | undefined;
  #storage: StorageDriver | undefined;
  #root: ShownRoot | undefined;
  #runtime: Runtime | undefined;
  #log: LogWriter | undefined;
  /** Called when there is no space for the log, with the reason, and without one when there is again. */
  logLacks: (reason: string | undefined) => void = () => undefined;

  constructor(
    private readonly container: Container,
    private readonly config: ContainerConfig,
  ) {
    this.#cgroup = new Cgroup(container.id);
  }

  get #place(): ContainerPlace {
    const { store, directory } = this.container;
    return { store, directory, image: this.config.image };
  }

  /** Undefined where there is none. */
  get log(): LogWriter | undefined {
    return this.#log;
  }

  get runtime(): Runtime {
    return this.#runtime!;
  }

  /** Undefined where the user may have none. */
  get cgroup(): Cgroup | undefined {
    return this.#hasCgroup ? this.#cgroup : undefined;
  }

  /** What the container has now. */
  get view(): LayerSet {
    return this.#storage!.view(this.#place);
  }

  /**
   * Takes all of it; answers what of it is for everybody to know. `marks` say how far the log is, `prepared` is
   * a stage that waits already.
   */
  async take(
    marks: LogMarks,
    prepared: Stage | undefined,
  ): Promise<Pick<ContainerState, 'address' | 'gateway' | 'ports'>> {
    this.#openLog(marks);
    this.#taken.push(() => this.#cgroup.remove());
    const { runtime } = this.config.options;
    this.#hasCgroup = this.#cgroup.create(resourcesFor(this.config), runtime !== 'builtin');
    await this.#takeRuntime(prepared);
    // The mount takes as long as the network: side by side.
    const results = await Promise.allSettled([this.#mount(), this.#joinNetwork()]);
    for (const result of results) if (result.status === 'rejected') throw result.reason;
    const { attachment, ports } = this.#network!;
    writeFiles(this.container, this.config, attachment);
    if (attachment !== undefined) this.#followNetwork(attachment.address);
    const { address = '', gateway = '' } = attachment ?? {};
    return { address, gateway, ports };
  }

  /** Takes over what an earlier server has left; `mounted` is its mount where we serve it. */
  async resume(kept: KeptResources, marks: LogMarks, mounted: Mount | undefined): Promise<void> {
    this.#openLog(marks);
    this.#taken.push(() => this.#cgroup.remove());
    this.#hasCgroup = kept.hasCgroup;
    await this.#takeRuntime(undefined);
    this.#storage = await storageDriver(this.config.options.storage);
    this.#hold(await this.#storage.resume(this.#place, mounted));
    this.#network = await resumeNetwork(this.container, this.config, kept.network, logFault);
    this.#taken.push(() => this.#network!.release());
    const { attachment } = this.#network;
    if (attachment !== undefined) this.#followNetwork(attachment.address);
  }

  /** What the next server needs to go on with it. */
  keepIn(list: HeldList): KeptResources {
    const held = this.#root!.held;
    return {
      hasCgroup: this.#hasCgroup,
      network: this.#network!.keepIn(list),
      mount: held && {
        state: list.add(held.state),
        device: list.add(held.device),
        descriptors: held.descriptors.map((fd) => list.add(fd)),
      },
    };
  }

  keptBy(shim: Shim): void {
    this.#root!.keptBy?.(shim);
  }

  #openLog(marks: LogMarks): void {
    const { log } = this.config.options;
    if (log === 'none') return;
    const writer = new LogWriter(this.container.path('log'), log, marks);
    writer.lacking = (reason) => this.logLacks(reason);
    this.#log = writer;
    this.#taken.push(() => writer.close());
  }

  async #takeRuntime(prepared: Stage | undefined): Promise<void> {
    this.#runtime = await runtimeFor(this.config.options.runtime, this.container, prepared);
    this.#taken.push(() => this.#runtime!.forget());
  }

  async #mount(): Promise<void> {
    const flags = this.config.options.privileged ? 0 : MS_NODEV;
    this.#storage = await storageDriver(this.config.options.storage);
    this.#hold(await this.#storage.mount(this.#place, { flags, onFault: logFault }));
  }

  #hold(root: ShownRoot): void {
    this.#root = root;
    this.#taken.push(() => root.release());
  }

  async #joinNetwork(): Promise<void> {
    this.#network = await joinNetwork(this.container, this.config);
    this.#taken.push(() => this.#network!.release());
  }

  /** Whoever comes to the bridge or leaves it is found in the container's /etc/hosts, or no more. */
  #followNetwork(address: string): void {
    const update = (): void => {
      try {
        writeInPlace(this.container.path('hosts'), composeHosts(this.container, this.config, address));
      } catch (failure) {
        logFault(`/etc/hosts: ${(failure as Error).message}`);
      }
    };
    const watcher = watch(this.container.store.root, (_, name) => {
      if (name === 'network.json') update();
    });
    this.#taken.push(() => watcher.close());
  }

  /** What a start of the program needs of it, as the container is now. */
  async launch(): Promise<Launch> {
    const spec = specForContainer(this.container, this.config, {
      view: this.view,
      files: fileMounts(this.container, this.config),
      cgroupsPath: this.cgroup?.specPath,
      networkPath: await this.#networkPath(),
    });
    return {
      spec,
      rootfs: this.container.path('rootfs'),
      cgroupFiles: this.cgroup?.processFiles ?? [],
      hasInput: this.config.options.interactive,
      connect: this.#network!.connect,
    };
  }

  async #networkPath(): Promise<string | undefined> {
    const [kind, other] = this.config.options.network.split(':');
    if (kind !== 'container') return undefined;
    const joined = findContainer(this.container.store, other);
    const { status, pid } = await readState(joined);
    if (status === 'running' || status === 'paused') return namespacePath(pid, 'network');
    throw new OverlayError({
      operation: 'join the network of',
      path: other,
      reason: `it is ${status}`,
      remedy: 'start it first',
    });
  }

  /** Gives back what was taken. What cannot be is in the server's log: there is nobody else to be told. */
  async giveBack(): Promise<void> {
    try {
      await this.#taken[Symbol.asyncDispose]();
    } catch (failure) {
      for (const one of (failure as AggregateError).errors ?? [failure]) logFault((one as Error).message);
    }
  }
}
