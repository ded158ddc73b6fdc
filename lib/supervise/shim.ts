// SPDX-License-Identifier: MIT
/**
 * The shim of a server, from the server's side: a process that holds what must outlive the server and starts a new
 * one when it ends (shim.sh). The first server starts the shim; later servers are its children. A shim that ends
 * before its time is replaced, so either of the two may be killed at any moment, but not both at once.
 *
 * Descriptors of the shim, and of every server after the first:
 *   3 the state, 4 /dev/fuse, from 10 on all others in the order in which they are handed on
 *
 * What is held never changes; another shim that holds something else takes the place of the present one (`hold`).
 * Their numbers say which of the two counts when the server dies while both are there.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, writeSync } from 'node:fs';
import { constants as system } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { mountDebug } from '../base/debug.js';
import { check, OverlayError } from '../base/errors.js';
import { makePipe } from '../sys/channels.js';
import { residentMemoryOf } from '../sys/proc.js';
import { setParentDeathSignal } from '../sys/programs.js';
import { DEVICE_FD, FIRST_HELD_FD, type Held, STATE_FD } from './held.js';

const LISTENING_FD = 7;
/** Where a server that the shim has started speaks. */
const SPEAKING_FD = 9;
const LOG_FD = 2;
/** A shim that lives for less has not begun; so many of them never will. */
const QUICK_MS = 200;
const MAX_QUICK_ENDS = 8;
/** A shim's end is told to servers that are its children by this signal. */
const SHIM_ENDED = 'SIGUSR2';

/** What a version of the program has for servers of each kind; absolute paths. */
export interface ServerPrograms {
  node: string;
  /** Of mounts alone. */
  mount: string;
  /** Of containers with their mounts. */
  container: string;
}

/** What a shim starts. */
export interface Successor {
  kind: Exclude<keyof ServerPrograms, 'node'>;
  main: string;
  /** Of Node. */
  flags?: readonly string[];
}

/** What a shim is to hold. */
export interface Holding {
  held: Held;
  number: number;
  /** Called when the shim is there: from then on it is the one that counts. */
  begin(): void;
}

/** Whose shim it is. */
export interface Owner {
  /** For messages. */
  readonly name: string;
  readonly successor: Successor;
  report(text: string): void;
  /** What the next shim is to hold when this one ends before its time; undefined where nothing is to be kept any more. */
  holding(): Holding | undefined;
}

/** A process that is a shim. */
interface ShimProcess {
  /** 0 where none could be started. */
  pid: number;
  number: number;
  /** The pipe through which it is told. */
  speaking: number;
}

export class Shim {
  #dismissed = false;
  #startedAt = 0;
  #quickEnds = 0;
  readonly #listeners: (() => void)[] = [];
  /** Shims of this process that have not ended yet. */
  readonly #alive = new Set<number>();
  /** The one that has started this process. */
  #parent = 0;

  private constructor(
    private readonly owner: Owner,
    private current: ShimProcess,
  ) {}

  /** Starts a shim for what this process serves. Throws an OverlayError. */
  static start(owner: Owner, holding: Holding): Shim {
    const shim = new Shim(owner, { pid: 0, number: 0, speaking: -1 });
    shim.#start(holding);
    holding.begin();
    return shim;
  }

  /** The shim that has started this process, by its process id and number. */
  static parent(owner: Owner, pid: number, number: number): Shim {
    const shim = new Shim(owner, { pid, number, speaking: SPEAKING_FD });
    shim.#parent = pid;
    process.on(SHIM_ENDED, () => {
      if (shim.pid === pid) shim.#replace();
    });
    check(setParentDeathSignal(system.signals[SHIM_ENDED]), { operation: 'watch the shim' });
    if (process.ppid !== pid) shim.#replace();
    return shim;
  }

  /** Tells the shim that has started this process to end, as another one counts. */
  static refuseParent(): void {
    say(SPEAKING_FD, 'end');
  }

  /** 0 when none could be started. */
  get pid(): number {
    return this.current.pid;
  }

  /** Calls back each time that another one has taken its place. */
  onReplaced(listener: () => void): void {
    this.#listeners.push(listener);
  }

  /** Makes a new process the current one; when it throws, the former one still is. */
  #start({ held, number }: Holding): void {
    const [listening, speaking] = check(makePipe(), { operation: 'start the shim' });
    let child: ChildProcess;
    try {
      child = this.#spawn(held, number, listening);
    } catch (failure) {
      closeSync(speaking);
      throw failure;
    } finally {
      closeSync(listening);
    }
    const pid = child.pid ?? 0;
    this.current = { pid, number, speaking };
    this.#alive.add(pid);
    this.#startedAt = performance.now();
    child.once('error', (failure) => {
      this.#alive.delete(pid);
      if (this.pid === pid) this.#giveUp(failure.message);
    });
    child.once('exit', () => {
      this.#alive.delete(pid);
      if (this.pid === pid) this.#replace();
    });
    child.unref();
  }

  #spawn({ state, device, descriptors }: Held, number: number, listening: number): ChildProcess {
    const stdio: ('ignore' | number)[] = Array.from({ length: FIRST_HELD_FD }, () => 'ignore');
    stdio[1] = stdio[LOG_FD] = LOG_FD;
    stdio[STATE_FD] = state;
    stdio[DEVICE_FD] = device ?? 'ignore';
    stdio[LISTENING_FD] = listening;
    const script = fileURLToPath(new URL('./shim.sh', import.meta.url));
    const { main, flags = [] } = this.owner.successor;
    const command = [script, process.execPath, main, this.owner.name, String(number), ...flags];
    return spawn('/bin/sh', command, { detached: true, cwd: '/', stdio: [...stdio, ...descriptors] });
  }

  /**
   * Another shim with other descriptors takes the place of the present one. Throws an OverlayError; then
   * nothing has changed.
   */
  hold(holding: Holding): void {
    const former = this.current;
    this.#start(holding);
    if (this.pid === 0) {
      closeSync(this.current.speaking);
      this.current = former;
      throw new OverlayError({
        operation: 'start the shim',
        reason: 'this user may have no more processes',
        remedy: 'end some, or raise the limit (`ulimit -u`)',
      });
    }
    holding.begin();
    say(former.speaking, 'end');
    closeSync(former.speaking);
    this.#succeeded();
  }

  /** Its end was not asked for: another one takes its place. */
  #replace(): void {
    if (this.#dismissed) return;
    this.#quickEnds = performance.now() - this.#startedAt < QUICK_MS ? this.#quickEnds + 1 : 0;
    if (this.#quickEnds > MAX_QUICK_ENDS) {
      this.#giveUp('each one ends at once');
      return;
    }
    mountDebug('shim %d has ended, another one is started', this.pid);
    closeSync(this.current.speaking);
    const holding = this.owner.holding();
    if (holding === undefined) this.#end();
    else {
      this.#start(holding);
      holding.begin();
    }
    this.#succeeded();
  }

  #succeeded(): void {
    for (const listener of this.#listeners) listener();
  }

  #end(): void {
    this.#dismissed = true;
    this.current.pid = 0;
  }

  /** What is served goes on without one. */
  #giveUp(reason: string): void {
    this.owner.report(`the mount will not outlive its server: no shim can be started: ${reason}`);
    this.#end();
  }

  /** This process serves. */
  ready(): void {
    say(this.current.speaking, 'ready');
  }

  /** This process will not end although it is killed: it says nothing more, so that the end of others is heard. */
  hung(): void {
    say(this.current.speaking, 'hung');
    this.#dismissed = true;
    closeSync(this.current.speaking);
  }

  /** The next server is to be another program. */
  setProgram(programs: ServerPrograms): void {
    say(this.current.speaking, `node ${programs.node}`);
    say(this.current.speaking, `main ${programs[this.owner.successor.kind]}`);
  }

  /** There is nothing to be held any more; settles when the shim is gone, too. */
  async dismiss(): Promise<void> {
    if (this.#dismissed) return;
    this.#dismissed = true;
    say(this.current.speaking, 'end');
    while (this.#alive.size > 0 || process.ppid === this.#parent) await delay(1);
    closeSync(this.current.speaking);
  }

  /** Bytes; 0 where there is no shim. */
  get residentMemory(): number {
    return residentMemoryOf(this.pid);
  }
}

/** A shim that has ended hears nothing; another one will be there soon. */
function say(speaking: number, line: string): void {
  try {
    writeSync(speaking, `${line}\n`);
  } catch (failure) {
    if ((failure as NodeJS.ErrnoException).code !== 'EPIPE') throw failure;
  }
}
