// SPDX-License-Identifier: MIT
/**
 * A container's server: the one process that serves its root file system, is the
 * parent of its programs, keeps its log and publishes its ports. It lives as long
 * as the container runs; when it dies, the kernel kills the container's first
 * process, and with that all others.
 */
import { constants } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { OverlayError } from '../../base/errors.js';
import type { TerminalSize } from '../../sys/terminals.js';
import type { ExitCode, RunningProgram } from '../runtime/runtime.js';
import { sendSignal, signalNumber } from '../signals.js';
import type { Stage } from '../stage/stage-process.js';
import type { ContainerConfig, ContainerState } from '../state/config.js';
import type { Container } from '../state/containers.js';
import { Outlet } from './outlet.js';
import { ProgramStreams } from './program-streams.js';
import { ContainerResources } from './resources.js';
import { isRestarted, restartDelay } from './restart.js';

const DEFAULT_STOP_SIGNAL = 'SIGTERM';
/** How long what was written last may take to come through after the program has ended. */
const LAST_WORDS_MS = 1000;

export class ContainerServer {
  readonly resources: ContainerResources;
  readonly outlet = new Outlet();
  #state: ContainerState;
  #program: RunningProgram | undefined;
  #streams: ProgramStreams | undefined;
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
    this.resources = new ContainerResources(container, config);
  }

  get state(): ContainerState {
    return this.#state;
  }

  get streams(): ProgramStreams | undefined {
    return this.#streams;
  }

  #change(changes: Partial<ContainerState>): void {
    this.#state = { ...this.#state, ...changes };
    this.container.writeState(this.#state);
  }

  /** Starts the container; settles when its program runs. Everything is given back when it throws. */
  async start(size: TerminalSize | undefined): Promise<void> {
    this.#change({ serverPid: process.pid, error: '', stopped: false, restarts: 0 });
    try {
      this.#change(await this.resources.take(this.prepared));
      await this.#launch(size);
    } catch (failure) {
      await this.resources.giveBack();
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

  async #launch(size: TerminalSize | undefined): Promise<void> {
    const program = await this.resources.runtime.start(await this.resources.launch());
    this.#program = program;
    const streams = new ProgramStreams(program.streams, (stream, bytes) => {
      this.resources.log.write(stream, bytes);
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
      this.resources.log.failure === undefined
        ? this.#state.error
        : `its log is not whole: ${this.resources.log.failure}`;
    await this.resources.giveBack();
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
