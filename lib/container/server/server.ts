// SPDX-License-Identifier: MIT
/**
 * A container's server: the one process that serves its root file system, hears its
 * programs, keeps its log and publishes its ports. It lives as long as the container
 * runs; when it dies, its shim starts another one, which goes on (keeping.ts). Only
 * when both die at once is the container lost, for who meets it next to take away.
 */
import { constants } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { OverlayError } from '../../base/errors.js';
import type { Mount } from '../../mount/mount.js';
import type { HeldList } from '../../supervise/held.js';
import { logFault } from '../../supervise/log.js';
import { processId } from '../../sys/proc.js';
import { sendSignal, signalNumber } from '../../sys/signals.js';
import type { TerminalSize } from '../../sys/terminals.js';
import { STREAMS } from '../program/log-file.js';
import { Outlet } from '../program/outlet.js';
import { type Joinable, Program } from '../program/program.js';
import { ProgramMemory } from '../program/program-memory.js';
import type { ProgramStreams } from '../program/program-streams.js';
import type { ExitCode } from '../runtime/runtime.js';
import type { Stage } from '../stage/stage-process.js';
import type { ContainerConfig, ContainerState } from '../state/config.js';
import type { Container } from '../state/containers.js';
import { CODE_FAILED } from '../state/failure.js';
import { removeContainer } from '../upkeep/removal.js';
import type { ExecRequest } from '../wire/protocol.js';
import type { ContainerManifest, ContainerMemory } from './container-memory.js';
import type { Execution } from './execution.js';
import { Executions } from './executions.js';
import { type Compose, Keeping } from './keeping.js';
import { ContainerResources } from './resources.js';
import { isRestarted, restartDelay } from './restart.js';

/** What Docker says in a container's state of one that could not be started, where its program is not to blame. */
const CODE_NOT_STARTED = 128;
const DEFAULT_STOP_SIGNAL = 'SIGTERM';
/** A process that was put elsewhere may hold the streams of the container's own program for so long. */
export const LAST_WORDS_MS = 1000;

export interface StartWish {
  size: TerminalSize | undefined;
  /** It ends with the client that starts it. */
  bound: boolean;
  /** One that waits already. */
  stage: Stage | undefined;
}

export class ContainerServer {
  readonly resources: ContainerResources;
  /** The container's own program, whichever start of it runs. */
  readonly own: Joinable;
  readonly #outlet = new Outlet();
  readonly #keeping: Keeping;
  readonly #memory: ProgramMemory;
  readonly executions: Executions;
  #state: ContainerState;
  #program: Program | undefined;
  #interrupt = new AbortController();
  /** The client that it is bound to is there. */
  hasOwner = false;
  /** The client that it was bound to has gone. */
  isAbandoned = false;
  /** Settles with the last exit code. */
  #ended: Promise<ExitCode> | undefined;

  private constructor(
    readonly container: Container,
    readonly config: ContainerConfig,
    keeping: Keeping,
    memory: ProgramMemory,
  ) {
    this.#state = container.readWrittenState();
    this.#keeping = keeping;
    this.#memory = memory;
    this.resources = new ContainerResources(container, config);
    this.executions = new Executions(keeping);
    const streams = (): ProgramStreams | undefined => this.#program?.streams;
    this.own = {
      memory,
      outlet: this.#outlet,
      get streams() {
        return streams();
      },
    };
    this.resources.logLacks = (reason) => this.#noteLack(reason);
    keeping.compose = (list) => this.#compose(list);
    keeping.begun = (shim) => this.resources.keptBy(shim);
  }

  /** Of a container that is not running. `lock` is the descriptor of its lock. */
  static make(container: Container, config: ContainerConfig, lock: number): ContainerServer {
    const { store, id } = container;
    const keeping = Keeping.make({ root: store.root, id, name: config.name, lock }, logFault);
    return new ContainerServer(container, config, keeping, ProgramMemory.make(config.options.terminal));
  }

  /** Of one whose server has ended; `mounted` is the mount that we serve, if any. */
  static async resume(
    container: Container,
    { resources, program, executions }: ContainerManifest,
    keeping: Keeping,
    mounted: Mount | undefined,
  ): Promise<ContainerServer> {
    const memory = new ProgramMemory(program.memory);
    const server = new ContainerServer(container, container.readConfig(), keeping, memory);
    await server.resources.resume(resources, memory, mounted);
    server.resources.keptBy(keeping.shim!);
    server.#change({ serverPid: process.pid, serverStart: processId(process.pid).start });
    server.#logRest();
    server.#take(Program.resume(program, memory, server.#outlet, server.resources.log));
    server.executions.resume(executions);
    keeping.takenOver();
    if (server.#state.pid !== program.pid) {
      await server.resources.runtime.goOn?.();
      server.#noteStart();
    }
    server.#ended = server.#attend();
    return server;
  }

  /** Who runs it and who looks at it learn why it waits. */
  #noteLack(reason: string | undefined): void {
    const notice = reason && `${this.config.name} has to wait before it prints more: ${reason}; make room`;
    this.#outlet.notice = notice;
    this.#change({ error: notice ?? '' });
  }

  /** What has come and is not in the log yet. */
  #logRest(): void {
    for (const stream of STREAMS) {
      const journal = this.#memory.output[stream];
      this.resources.log?.write(stream, journal.read(this.#memory.logged(stream), journal.end));
    }
  }

  get state(): ContainerState {
    return this.#state;
  }

  /** What outlives this server. */
  get memory(): ContainerMemory {
    return this.#keeping.memory;
  }

  #change(changes: Partial<ContainerState>): void {
    this.#state = { ...this.#state, ...changes };
    this.container.writeState(this.#state);
  }

  /** Starts the container; settles when its program runs. Everything is given back when it throws. */
  async start({ size, bound, stage }: StartWish): Promise<void> {
    this.#change({
      serverPid: process.pid,
      serverStart: processId(process.pid).start,
      error: '',
      stopped: false,
      restarts: 0,
    });
    this.#keeping.memory.isBound = bound;
    try {
      this.#change(await this.resources.take(this.#memory, stage));
      await this.#launch(size);
    } catch (failure) {
      await this.resources.giveBack();
      await this.#removeIfWanted();
      await this.#keeping.end();
      if (this.container.exists) this.#noteFailure(failure as Error);
      throw failure;
    }
    this.#ended = this.#attend();
  }

  /** One that has never run stays as created, as in Docker. */
  #noteFailure(failure: Error & { exitCode?: ExitCode }): void {
    const { exitCode = CODE_FAILED, message: error } = failure;
    const noted = exitCode === CODE_FAILED ? CODE_NOT_STARTED : exitCode;
    this.#change({ serverPid: 0, pid: 0, exitCode: noted, error, address: '', ports: [] });
  }

  /** Settles when the container's program has ended for good: the rest is for `giveBack` and `conclude`. */
  ended(): Promise<ExitCode> {
    return this.#ended!;
  }

  async #launch(size: TerminalSize | undefined): Promise<void> {
    const launch = await this.resources.launch();
    this.#memory.beginInput();
    try {
      await this.resources.runtime.start(launch, (running) => {
        this.#take(Program.begin(running, this.#memory, this.#outlet, this.resources.log));
        if (!launch.hasInput) this.own.streams!.endInput();
        this.#keeping.renew();
      });
    } catch (failure) {
      this.#program?.close();
      this.#program = undefined;
      throw failure;
    }
    if (size !== undefined) this.own.streams!.resize(size);
    this.#noteStart();
  }

  #noteStart(): void {
    const startedAt = new Date().toISOString();
    const { pid } = this.#program!;
    this.#change({ status: 'running', pid, pidStart: processId(pid).start, startedAt, finishedAt: '' });
  }

  #take(program: Program): void {
    this.#program = program;
    program.streams.inputEnded = () => this.#keeping.renewSoon();
  }

  /** What the container has now is kept; nothing is where its own program has ended. */
  #compose(list: HeldList): ReturnType<Compose> {
    if (this.#program === undefined) return undefined;
    return {
      resources: this.resources.keepIn(list),
      program: this.#program.keepIn(list),
      executions: this.executions.keepIn(list),
    };
  }

  /** Waits for the end, and starts it again as its policy has it. */
  async #attend(): Promise<ExitCode> {
    for (;;) {
      const exitCode = await this.#finish();
      if (!isRestarted(this.config.options.restart, exitCode, this.#state)) return exitCode;
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
        return exitCode;
      }
    }
  }

  async #finish(): Promise<ExitCode> {
    const exitCode = await this.#program!.ended(LAST_WORDS_MS);
    this.#program!.close();
    this.#program = undefined;
    return exitCode;
  }

  /** Gives back what the container had while it ran. */
  async giveBack(exitCode: ExitCode): Promise<void> {
    // For whoever finds the container when this server does not come further.
    this.#change({ pid: 0, exitCode });
    await this.resources.giveBack();
  }

  /**
   * The last of it. The shim goes late: until then another server does what this one does not come to, and
   * after that whoever finds the container (recovery.ts).
   */
  async conclude(exitCode: ExitCode): Promise<void> {
    await this.#removeIfWanted();
    await this.#keeping.end();
    if (!this.container.exists) return;
    const failure = this.resources.log?.failure;
    const error = failure === undefined ? this.#state.error : `its log is not whole: ${failure}`;
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
  }

  async #removeIfWanted(): Promise<void> {
    // Who would have removed one that is bound is gone.
    if (!this.config.options.autoRemove && !this.isAbandoned) return;
    try {
      await removeContainer(this.container);
    } catch (failure) {
      logFault(`it could not be removed: ${(failure as Error).message}`);
    }
  }

  /** Runs a program beside the container's own; `begun` is called before it writes anything. Throws an OverlayError. */
  async execute(
    key: string,
    request: ExecRequest,
    isDetached: boolean,
    begun: (execution: Execution) => void,
  ): Promise<Execution> {
    if (this.#state.status === 'paused') {
      throw new OverlayError({
        operation: 'run in container',
        path: this.config.name,
        reason: 'it is paused',
        remedy: `let it go on with \`tsoverlay unpause ${this.config.name}\``,
      });
    }
    return await this.executions.begin(this, key, request, isDetached, begun);
  }

  /** Ends the container with the client that it is bound to. */
  abandon(): void {
    this.isAbandoned = true;
    void this.stop(0);
  }

  /** Sends a signal to the first process. Throws an OverlayError for none that there is, or when nothing runs. */
  signal(text: string): void {
    const number = signalNumber(text);
    sendSignal(this.#running().pid, number);
  }

  #running(): Program {
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
    if (this.resources.cgroup === undefined) {
      throw new OverlayError({
        operation: 'pause',
        path: this.config.name,
        reason: 'it has no cgroup to be frozen in',
        remedy: 'run it as root, or where the user may have cgroups',
      });
    }
    await this.resources.cgroup.freeze(true);
    this.#change({ status: 'paused' });
  }

  async resume(): Promise<void> {
    if (this.#state.status !== 'paused') return;
    await this.resources.cgroup!.freeze(false);
    this.#change({ status: 'running' });
  }
}
