// SPDX-License-Identifier: MIT
/** The container's own program, whichever start of it runs: its clients and what it says go through all of them. */
import { OverlayError } from '../../base/errors.js';
import { type LogWriter, STREAMS } from '../program/log-file.js';
import { Outlet } from '../program/outlet.js';
import { type Joinable, type KeptProgram, Program, type ProgramContext } from '../program/program.js';
import type { ProgramMemory } from '../program/program-memory.js';
import type { ProgramStreams } from '../program/program-streams.js';
import type { ExitCode, RunningProgram } from '../runtime/runtime.js';

/** A process that was put elsewhere may hold the streams of the container's own program for so long. */
export const LAST_WORDS_MS = 1000;

/** What each start of it is given. */
export interface OwnContext {
  log: LogWriter | undefined;
  inputEnded(): void;
}

export class OwnProgram implements Joinable {
  readonly outlet: Outlet;
  /** Undefined before its first start, between two of them, and when it has ended. */
  #program: Program | undefined;

  constructor(
    private readonly name: string,
    readonly memory: ProgramMemory,
  ) {
    this.outlet = new Outlet(memory);
  }

  get streams(): ProgramStreams | undefined {
    return this.#program?.streams;
  }

  get isRunning(): boolean {
    return this.#program !== undefined;
  }

  /** Throws an OverlayError where nothing runs. */
  requireRunning(): Program {
    if (this.#program !== undefined) return this.#program;
    throw new OverlayError({
      operation: 'reach container',
      path: this.name,
      reason: 'it is not running',
      remedy: `start it with \`tsoverlay start ${this.name}\``,
    });
  }

  /** One that is just being started. */
  begin(running: RunningProgram, context: OwnContext): Program {
    return this.#set(Program.begin(running, this.#complete(context)));
  }

  /** One that an earlier server has started. */
  takeOver(kept: KeptProgram, context: OwnContext): Program {
    this.#logRest(context.log);
    return this.#set(Program.takeOver(kept, this.#complete(context)));
  }

  #complete(context: OwnContext): ProgramContext {
    return { ...context, memory: this.memory, outlet: this.outlet };
  }

  #set(program: Program): Program {
    this.#program = program;
    return program;
  }

  /** Settles with the exit code when it has ended and all that it wrote is here; nothing runs then. */
  async ended(): Promise<ExitCode> {
    const code = await this.requireRunning().ended(LAST_WORDS_MS);
    this.discard();
    return code;
  }

  /** What has come and is not in the log yet: an earlier server did not come to it. */
  #logRest(log: LogWriter | undefined): void {
    for (const stream of STREAMS) {
      const journal = this.memory.output[stream];
      log?.write(stream, journal.read(this.memory.logged(stream), journal.end));
    }
  }

  /** Closes what is here of one that has ended, or could not begin. */
  discard(): void {
    this.#program?.close();
    this.#program = undefined;
  }
}
