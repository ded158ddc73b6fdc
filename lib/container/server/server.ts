// SPDX-License-Identifier: MIT
/**
 * A container's server: the one process that serves its root file system, is the
 * parent of its programs, keeps its log and publishes its ports. It lives as long
 * as the container runs; when it dies, the kernel kills the container's first
 * process, and with that all others.
 *
 * What the container needs is taken in order and given back in the opposite one
 * (AsyncRollback), however far the start came.
 */
import { type FSWatcher, watch } from 'node:fs';
import { constants } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { OverlayError } from '../../base/errors.js';
import { AsyncRollback } from '../../base/rollback.js';
import type { LayerSet } from '../../overlay/open.js';
import { MS_NODEV } from '../../sys/mounts.js';
import { namespacePath } from '../../sys/namespaces.js';
import type { TerminalSize } from '../../sys/terminals.js';
import { type ContainerNetwork, joinNetwork } from '../network/network.js';
import { type ExitCode, type RunningProgram, type Runtime, runtimeFor } from '../runtime/runtime.js';
import { sendSignal, signalNumber } from '../signals.js';
import { resourcesFor, specForContainer } from '../spec/container-spec.js';
import type { SpecMount } from '../spec/defaults.js';
import type { Stage } from '../stage/stage-process.js';
import type { ContainerConfig, ContainerState } from '../state/config.js';
import { type Container, findContainer } from '../state/containers.js';
import { readState } from '../state/recovery.js';
import { type ContainerPlace, type StorageDriver, storageDriver } from '../storage/storage-driver.js';
import { Cgroup } from './cgroup.js';
import { composeHosts, prepareFiles, writeInPlace } from './container-files.js';
import { LogWriter } from './log-file.js';
import { Outlet } from './outlet.js';
import { ProgramStreams } from './program-streams.js';
import { isRestarted, restartDelay } from './restart.js';

const DEFAULT_STOP_SIGNAL = 'SIGTERM';
/** How long what was written last may take to come through after the program has ended. */
const LAST_WORDS_MS = 1000;

export class ContainerServer {
  readonly #resources = new AsyncRollback();
  readonly outlet = new Outlet();
  #state: ContainerState;
  #program: RunningProgram | undefined;
  #streams: ProgramStreams | undefined;
  #cgroup: Cgroup | undefined;
  #network: ContainerNetwork | undefined;
  #storage: StorageDriver | undefined;
  #runtime: Runtime | undefined;
  #files: SpecMount[] = [];
  #log: LogWriter | undefined;
  #interrupt = new AbortController();
  /** Settles with the last exit code, when everything was given back. */
  #ended: Promise<ExitCode> | undefined;

  /** The caller has the container's lock. */
  constructor(
    readonly container: Container,
    readonly config: ContainerConfig,
    private readonly prepared: Stage | undefined,
  ) {
    this.#state = container.readWrittenState();
  }

  get state(): ContainerState {
    return this.#state;
  }

  get streams(): ProgramStreams | undefined {
    return this.#streams;
  }

  get runtime(): Runtime {
    return this.#runtime!;
  }

  /** What the container has now. */
  get view(): LayerSet {
    return this.#storage!.view(this.#place);
  }

  get #place(): ContainerPlace {
    const { store, directory } = this.container;
    return { store, directory, image: this.config.image };
  }

  get cgroupFiles(): string[] {
    return this.#cgroup?.processFiles ?? [];
  }

  #change(changes: Partial<ContainerState>): void {
    this.#state = { ...this.#state, ...changes };
    this.container.writeState(this.#state);
  }

  /** Starts the container; settles when its program runs. Everything is given back when it throws. */
  async start(size: TerminalSize | undefined): Promise<void> {
    this.#change({ serverPid: process.pid, error: '', stopped: false, restarts: 0 });
    try {
      await this.#prepare();
      await this.#launch(size);
    } catch (failure) {
      await this.#giveBack();
      const exitCode = (failure as { exitCode?: number }).exitCode ?? 125;
      this.#change({
        serverPid: 0,
        pid: 0,
        exitCode,
        error: (failure as Error).message,
        address: '',
        ports: [],
      });
      throw failure;
    }
    this.#ended = this.#attend();
  }

  /** Settles when the container has ended for good. */
  ended(): Promise<ExitCode> {
    return this.#ended!;
  }

  async #prepare(): Promise<void> {
    this.#log = new LogWriter(this.container.path('log'));
    this.#resources.push(() => this.#log!.close());
    this.#makeCgroup();
    this.#runtime = await runtimeFor(this.config.options.runtime, this.container, this.prepared);
    this.#resources.push(() => this.#runtime!.forget());
    // The mount takes as long as the network: side by side.
    const results = await Promise.allSettled([this.#mount(), this.#joinNetwork()]);
    for (const result of results) if (result.status === 'rejected') throw result.reason;
    const { attachment, ports } = this.#network!;
    this.#files = prepareFiles(this.container, this.config, attachment);
    if (attachment !== undefined) this.#followNetwork();
    const { address = '', gateway = '' } = attachment ?? {};
    this.#change({ ports, address, gateway });
  }

  #makeCgroup(): void {
    const cgroup = new Cgroup(this.container.id);
    this.#resources.push(() => cgroup.remove());
    if (cgroup.create(resourcesFor(this.config))) this.#cgroup = cgroup;
  }

  async #mount(): Promise<void> {
    const flags = this.config.options.privileged ? 0 : MS_NODEV;
    this.#storage = await storageDriver(this.config.options.storage);
    this.#resources.push(await this.#storage.mount(this.#place, { flags, onFault: reportFault }));
  }

  async #joinNetwork(): Promise<void> {
    this.#network = await joinNetwork(this.container, this.config);
    this.#resources.push(() => this.#network!.release());
  }

  /** Whoever comes to the bridge or leaves it is found in the container's /etc/hosts, or no more. */
  #followNetwork(): void {
    const update = (): void => {
      try {
        const text = composeHosts(this.container, this.config, this.#state.address);
        writeInPlace(this.container.path('hosts'), text);
      } catch (failure) {
        reportFault(`/etc/hosts: ${(failure as Error).message}`);
      }
    };
    const watcher: FSWatcher = watch(this.container.store.root, (_, name) => {
      if (name === 'network.json') update();
    });
    this.#resources.push(() => watcher.close());
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

  async #launch(size: TerminalSize | undefined): Promise<void> {
    const spec = specForContainer(this.container, this.config, {
      view: this.view,
      files: this.#files,
      cgroupsPath: this.#cgroup?.specPath,
      networkPath: await this.#networkPath(),
    });
    const program = await this.runtime.start({
      spec,
      rootfs: this.container.path('rootfs'),
      cgroupFiles: this.cgroupFiles,
      hasInput: this.config.options.interactive,
      connect: this.#network!.connect,
    });
    this.#program = program;
    const streams = new ProgramStreams(program.streams, (stream, bytes) => {
      this.#log!.write(stream, bytes);
      if (this.outlet.send(stream, bytes)) return;
      streams.pause();
      this.outlet.drained(() => streams.resume());
    });
    this.#streams = streams;
    if (size !== undefined) streams.resize(size);
    this.#change({
      status: 'running',
      pid: program.pid,
      startedAt: new Date().toISOString(),
      finishedAt: '',
    });
  }

  /** Waits for the end, and starts it again as its policy has it. */
  async #attend(): Promise<ExitCode> {
    for (;;) {
      const exitCode = await this.#finish();
      if (!isRestarted(this.config.options.restart, exitCode, this.#state))
        return await this.#conclude(exitCode);
      const began = Date.parse(this.#state.startedAt);
      const restarts = this.#state.restarts + 1;
      this.#change({ pid: 0, exitCode, restarts });
      try {
        await delay(restartDelay(restarts, Date.now() - began), undefined, {
          signal: this.#interrupt.signal,
        });
        await this.#launch(undefined);
      } catch (failure) {
        if (!this.#interrupt.signal.aborted) this.#change({ error: (failure as Error).message });
        return await this.#conclude(exitCode);
      }
    }
  }

  async #finish(): Promise<ExitCode> {
    const exitCode = await this.#program!.exited;
    // A process that was put elsewhere may hold the streams; what the program wrote is here by then.
    await Promise.race([this.#streams!.ended, delay(LAST_WORDS_MS, undefined, { ref: false })]);
    this.#streams!.close();
    this.#program = undefined;
    return exitCode;
  }

  async #conclude(exitCode: ExitCode): Promise<ExitCode> {
    const error =
      this.#log?.failure === undefined ? this.#state.error : `its log is not whole: ${this.#log.failure}`;
    await this.#giveBack();
    const finishedAt = new Date().toISOString();
    this.#change({
      status: 'exited',
      serverPid: 0,
      pid: 0,
      exitCode,
      error,
      finishedAt,
      address: '',
      ports: [],
    });
    return exitCode;
  }

  async #giveBack(): Promise<void> {
    try {
      await this.#resources[Symbol.asyncDispose]();
    } catch (failure) {
      for (const one of (failure as AggregateError).errors ?? [failure]) reportFault((one as Error).message);
    }
  }

  /** Sends a signal to the first process. Throws an OverlayError for none that there is, or when nothing runs. */
  signal(text: string): void {
    const number = signalNumber(text);
    sendSignal(this.#running().pid, number);
  }

  #running(): RunningProgram {
    if (this.#program !== undefined) return this.#program;
    throw new OverlayError({
      operation: 'reach container',
      path: this.config.name,
      reason: 'it is not running',
      remedy: `start it with \`tsoverlay start ${this.config.name}\``,
    });
  }

  /** The pid of the first process. */
  get pid(): number {
    return this.#running().pid;
  }

  /** Asks the program to end, waits, kills it; settles when it has ended. */
  async stop(seconds: number): Promise<void> {
    this.#change({ stopped: true });
    this.#interrupt.abort();
    const program = this.#program;
    if (program === undefined) return;
    await this.resume();
    sendSignal(program.pid, signalNumber(this.stopSignal));
    const waited = await Promise.race([
      program.exited,
      delay(seconds * 1000, 'late' as const, { ref: false }),
    ]);
    if (waited === 'late') sendSignal(program.pid, constants.signals.SIGKILL);
    await program.exited;
  }

  get stopSignal(): string {
    return this.config.options.stopSignal ?? this.config.image.config.StopSignal ?? DEFAULT_STOP_SIGNAL;
  }

  async pause(): Promise<void> {
    this.#running();
    if (this.#cgroup === undefined) {
      throw new OverlayError({
        operation: 'pause',
        path: this.config.name,
        reason: 'it has no cgroup to be frozen in',
        remedy: 'run it as root, or where the user may have cgroups',
      });
    }
    await this.#cgroup.freeze(true);
    this.#change({ status: 'paused' });
  }

  async resume(): Promise<void> {
    if (this.#state.status !== 'paused') return;
    await this.#cgroup!.freeze(false);
    this.#change({ status: 'running' });
  }
}

function reportFault(text: string): void {
  process.stderr.write(`${new Date().toISOString()} ${text}\n`);
}
