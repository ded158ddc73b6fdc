// SPDX-License-Identifier: MIT
/** A program in a container, as its server has it: the container's own, or one that is run beside it. */
import { writeSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import type { HeldList } from '../../supervise/held.js';
import { close } from '../../sys/files.js';
import { exitOf, hasEnded } from '../../sys/processes.js';
import type { ExitCode, RunningProgram, StreamDescriptors } from '../runtime/runtime.js';
import { GO_ON } from '../stage/stage-plan.js';
import type { LogStream, LogWriter } from './log-file.js';
import type { Outlet } from './outlet.js';
import type { KeptMemory, ProgramMemory } from './program-memory.js';
import { ProgramStreams } from './program-streams.js';

/** How often a program is looked at that another server has started. */
const LOOK_MS = 50;
/** How long clients of another server may take to come back. */
export const CLIENTS_RETURN_MS = 2000;
/** How often it is tried whether there is space for its log again. */
const SPACE_LOOK_MS = 500;
/** Of one whose own is not known any more. */
const CODE_UNKNOWN = 255;

/** What the next server needs of it; descriptors are places among what is held. */
export interface KeptProgram {
  pid: number;
  process: number;
  streams: StreamDescriptors;
  memory: KeptMemory;
  /** Where it was waiting to be let go on (RunningProgram.channel). */
  channel?: number | undefined;
}

/** What a program's bytes pass through, and who is told of it. */
export interface ProgramContext {
  memory: ProgramMemory;
  outlet: Outlet;
  log?: LogWriter | undefined;
  inputEnded(): void;
}

/** A program as a client joins it. */
export interface Joinable {
  readonly memory: ProgramMemory;
  readonly outlet: Outlet;
  readonly streams: ProgramStreams | undefined;
}

export class Program implements Joinable {
  readonly pid: number;
  readonly exited: Promise<ExitCode>;
  readonly streams: ProgramStreams;
  readonly memory: ProgramMemory;
  readonly outlet: Outlet;
  readonly #log: LogWriter | undefined;
  /** Settles when the clients are back that another server had. */
  readonly #returned: Promise<void>;
  /** Why nothing is taken from it now. */
  readonly #holds = new Set<'clients' | 'log'>();

  private constructor(
    private readonly running: RunningProgram,
    { memory, outlet, log, inputEnded }: ProgramContext,
    expectedClients: number,
  ) {
    this.pid = running.pid;
    this.exited = running.exited;
    this.memory = memory;
    this.outlet = outlet;
    this.#log = log;
    const take = (stream: LogStream, bytes: Buffer): void => this.#take(stream, bytes);
    this.streams = new ProgramStreams(running.streams, memory, { take, inputEnded });
    this.#returned = this.#awaitClients(expectedClients);
    if (log?.isFull) void this.#awaitSpace(log);
  }

  #hold(reason: 'clients' | 'log'): void {
    this.#holds.add(reason);
    this.streams.pause();
  }

  #letGo(reason: 'clients' | 'log'): void {
    this.#holds.delete(reason);
    if (this.#holds.size === 0) this.streams.resume();
  }

  /** Nothing is taken until there is space for it in the log. */
  async #awaitSpace(log: LogWriter): Promise<void> {
    if (this.#holds.has('log')) return;
    this.#hold('log');
    do await delay(SPACE_LOOK_MS, undefined, { ref: false });
    while (!this.streams.isClosed && !log.retry());
    this.#letGo('log');
  }

  /** One that has just been started; the descriptors of `running` become this object's. */
  static begin(running: RunningProgram, context: ProgramContext): Program {
    return new Program(running, context, 0);
  }

  /** One that an earlier server has started. */
  static takeOver({ pid, process, streams, channel }: KeptProgram, context: ProgramContext): Program {
    const running = { pid, process, streams, exited: endOf(process, pid) };
    const program = new Program(running, context, context.memory.clients);
    if (channel !== undefined) letGoOn(channel);
    return program;
  }

  /** Until then nothing is taken, so that nothing that they have not received is forgotten. */
  async #awaitClients(count: number): Promise<void> {
    if (count === 0) return;
    this.#hold('clients');
    await this.outlet.reached(count, CLIENTS_RETURN_MS);
    this.#letGo('clients');
  }

  /**
   * Settles with the exit code when all that it wrote has come, and everybody is there who wants to hear it.
   * `lastWords`: how long that may take after its end, in ms.
   */
  async ended(lastWords: number): Promise<ExitCode> {
    const code = await this.exited;
    await this.#returned;
    this.streams.finish();
    // What it left running may hold its streams; what it wrote itself is here by then.
    await Promise.race([this.streams.ended, delay(lastWords, undefined, { ref: false })]);
    this.#log?.finish();
    return code;
  }

  #take(stream: LogStream, bytes: Buffer): void {
    const { outlet, memory } = this;
    const log = this.#log;
    log?.write(stream, bytes);
    const isRoom = outlet.send(stream, bytes);
    const journal = memory.output[stream];
    journal.settle(log === undefined ? journal.end : memory.logged(stream));
    if (log?.isFull) void this.#awaitSpace(log);
    if (isRoom) return;
    this.#hold('clients');
    outlet.drained(() => this.#letGo('clients'));
  }

  /** Notes it among what is held; the places are those in the list. */
  keepIn(list: HeldList): KeptProgram {
    const { page, journals, passages } = this.memory.kept;
    const { open } = this.streams;
    const streams: StreamDescriptors =
      'terminal' in open
        ? { terminal: list.add(open.terminal) }
        : {
            input: open.input === undefined ? undefined : list.add(open.input),
            output: list.add(open.output),
            errors: list.add(open.errors),
          };
    const [stdout, stderr, input] = journals.map((fd) => list.add(fd));
    const placed = passages?.map(({ entrance, exit }) => ({
      entrance: list.add(entrance),
      exit: list.add(exit),
    }));
    return {
      pid: this.pid,
      process: list.add(this.running.process),
      channel: this.running.channel === undefined ? undefined : list.add(this.running.channel),
      streams,
      memory: {
        page: list.add(page),
        journals: [stdout, stderr, input],
        passages: placed === undefined ? undefined : [placed[0], placed[1]],
      },
    };
  }

  /** Nothing of it is heard any more; its memory is its owner's. */
  close(): void {
    this.streams.close();
    close(this.running.process);
  }
}

/** Where the last server has done so, nobody is at the other end, or nobody who would read it again. */
function letGoOn(channel: number): void {
  try {
    writeSync(channel, GO_ON);
  } catch (failure) {
    if ((failure as NodeJS.ErrnoException).code !== 'EPIPE') throw failure;
  } finally {
    close(channel);
  }
}

/** Its parent is another process and Node has no way to wait for a pidfd, but for a thread of some megabytes. */
async function endOf(process: number, pid: number): Promise<ExitCode> {
  while (!hasEnded(process)) await delay(LOOK_MS);
  // Who waits for it may take a moment.
  for (let tries = 0; tries < 20; tries++) {
    const code = exitOf(process, pid);
    if (code !== undefined) return code;
    await delay(LOOK_MS);
  }
  return CODE_UNKNOWN;
}
