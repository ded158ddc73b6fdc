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
import { OverlayError } from '../base/errors.js';
import { AsyncRollback } from '../base/rollback.js';
import { mount } from '../mount/mount.js';
import { removeServerFiles } from '../mount/registry.js';
import { announceMount } from '../mount/server.js';
import { MS_NODEV } from '../sys/mounts.js';
import { namespacePath } from '../sys/namespaces.js';
import type { TerminalSize } from '../sys/terminals.js';
import { type Attachment, connect, lease, release } from './bridge.js';
import { Cgroup } from './cgroup.js';
import type { ContainerConfig, ContainerState, PortMapping } from './config.js';
import { composeHosts, hostnameOf, prepareFiles, writeInPlace } from './container-files.js';
import { containerLayers, resourcesFor, specForContainer } from './container-spec.js';
import { type Container, findContainer } from './containers.js';
import type { SpecMount } from './defaults.js';
import { LogWriter } from './log-file.js';
import { Outlet } from './outlet.js';
import { publishPorts } from './ports.js';
import { ProgramStreams } from './program-streams.js';
import { readState } from './recovery.js';
import { isRestarted, restartDelay } from './restart.js';
import { sendSignal, signalNumber } from './signals.js';
import { type ExitCode, type RunningProgram, Stage } from './stage-process.js';

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
  #attachment: Attachment | undefined;
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
      await this.#launch(this.prepared ?? new Stage(), size);
    } catch (failure) {
      this.prepared?.discard();
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
    const { options } = this.config;
    const published = await publishPorts(options.ports, () => this.#attachment?.address ?? '127.0.0.1');
    this.#resources.push(() => {
      for (const one of published) one.close();
    });
    this.#log = new LogWriter(this.container.path('log'));
    this.#resources.push(() => this.#log!.close());
    this.#makeCgroup();
    // The mount takes as long as the network: side by side.
    const results = await Promise.allSettled([this.#mount(), this.#joinNetwork()]);
    for (const result of results) if (result.status === 'rejected') throw result.reason;
    this.#files = prepareFiles(this.container, this.config, this.#attachment);
    if (this.#attachment !== undefined) this.#followNetwork();
    const ports: PortMapping[] = published.map(({ mapping }) => mapping);
    const { address = '', gateway = '' } = this.#attachment ?? {};
    this.#change({ ports, address, gateway });
  }

  #makeCgroup(): void {
    const cgroup = new Cgroup(this.container.id);
    this.#resources.push(() => cgroup.remove());
    if (cgroup.create(resourcesFor(this.config))) this.#cgroup = cgroup;
  }

  async #mount(): Promise<void> {
    const flags = this.config.options.privileged ? 0 : MS_NODEV;
    const layers = containerLayers(this.container, this.config);
    const source = this.config.image.name;
    const options = { ...layers, flags, source, onFault: reportFault };
    const mounted = await mount(this.container.path('rootfs'), options);
    this.#resources.push(() => unmount(mounted));
    const announced = await announceMount(mounted, options);
    this.#resources.push(async () => {
      await announced.close();
      removeServerFiles(process.pid);
    });
  }

  async #joinNetwork(): Promise<void> {
    if (this.config.options.network !== 'bridge') return;
    const { store, id } = this.container;
    this.#resources.push(() => release(store, id));
    const names = [...new Set([this.config.name, hostnameOf(this.config), id.slice(0, 12)])];
    this.#attachment = await lease(store, id, names);
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

  async #launch(stage: Stage, size: TerminalSize | undefined): Promise<void> {
    const { options, id } = { ...this.config, ...this.container };
    const attachment = this.#attachment;
    const spec = specForContainer(this.container, this.config, {
      files: this.#files,
      cgroupsPath: this.#cgroup?.specPath,
      networkPath: await this.#networkPath(),
    });
    const program = await stage.run(
      {
        kind: 'start',
        spec,
        rootfs: this.container.path('rootfs'),
        cgroupFiles: this.cgroupFiles,
        hasInput: options.interactive,
        waitsForNetwork: attachment !== undefined,
      },
      async (pid) => {
        if (attachment !== undefined) await connect(pid, id, attachment);
      },
    );
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
        await this.#launch(new Stage(), undefined);
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

/** Programs that a person left in the root file system keep the mount; it goes from the tree all the same. */
async function unmount(mounted: Awaited<ReturnType<typeof mount>>): Promise<void> {
  try {
    await mounted.unmount();
  } catch (failure) {
    if (!(failure instanceof OverlayError) || failure.code !== 'EBUSY') throw failure;
    await mounted.unmount({ detach: true });
  }
}

function reportFault(text: string): void {
  process.stderr.write(`${new Date().toISOString()} ${text}\n`);
}
