// SPDX-License-Identifier: MIT
/**
 * The keeper of a mount, or of a container with its mount, from the server's side: a process that
 * holds what must outlive the server and starts a new one when it ends (keeper.sh). The first server
 * starts the keeper; later servers are its children. A keeper that ends before its time is replaced,
 * so either of the two may be killed at any moment, but not both at once.
 *
 * Descriptors of the keeper, and of every server after the first:
 *   3 the state, 4 /dev/fuse, from 10 on all others in the order in which they are handed on
 *
 * What is held never changes; another keeper that holds something else takes the place of the present
 * one (`hold`). Their numbers say which of the two counts when the server dies while both are there.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, writeSync } from 'node:fs';
import { constants as system } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { mountDebug } from '../base/debug.js';
import { check, OverlayError } from '../base/errors.js';
import { makePipe } from '../sys/channels.js';
import { setParentDeathSignal } from '../sys/programs.js';
import type { KeeperFigures, ServerPrograms } from './config.js';
import { residentMemoryOf } from './registry.js';
import { SERVER_MAIN } from './server-process.js';

export const STATE_FD = 3;
export const DEVICE_FD = 4;
const LISTENING_FD = 7;
/** Where a server that the keeper has started speaks. */
export const SPEAKING_FD = 9;
export const FIRST_HELD_FD = 10;
const LOG_FD = 2;
/** A keeper that lives for less has not begun; so many of them never will. */
const QUICK_MS = 200;
const MOST_QUICK_ENDS = 8;
/** A keeper's end is told to servers that are its children by this signal. */
const KEEPER_ENDED = 'SIGUSR2';

/** What a keeper holds. */
export interface Held {
  state: number;
  /** Undefined where none is held, or among the descriptors. */
  device?: number | undefined;
  descriptors: readonly number[];
}

/** What a keeper starts. */
export interface Successor {
  main: string;
  /** Of Node. */
  flags?: readonly string[] | undefined;
}

const MOUNT_SERVER: Successor = { main: SERVER_MAIN };

/** What another keeper is to hold. */
export interface Holding {
  held: Held;
  number: number;
  /** Called when it is there: from then on it is the one that counts. */
  begin(): void;
}

/** Whose keeper it is. */
export interface Owner {
  successor: Successor;
  number: number;
  /** What the next keeper is to hold when this one ends before its time; undefined where nothing is to be kept any more. */
  holding(): Holding | undefined;
}

export class Keeper implements KeeperFigures {
  /** Called when another one has taken its place. */
  replaced: () => void = () => undefined;
  #dismissed = false;
  #startedAt = 0;
  #quickEnds = 0;
  #number = 0;
  /** Keepers of this process that have not ended yet. */
  readonly #alive = new Set<number>();
  /** The one that has started this process. */
  #parent = 0;

  private constructor(
    private held: Held,
    private readonly target: string,
    public pid: number,
    private speaking: number,
    private readonly report: (text: string) => void,
    private readonly owner: Owner | undefined,
  ) {
    this.#number = owner?.number ?? 0;
  }

  /** Starts a keeper for what this process serves. Throws an OverlayError. */
  static start(held: Held, target: string, report: (text: string) => void, owner?: Owner): Keeper {
    const keeper = new Keeper(held, target, 0, -1, report, owner);
    keeper.#start();
    return keeper;
  }

  /** The keeper that has started this process. */
  static parent(
    held: Held,
    target: string,
    pid: number,
    report: (text: string) => void,
    owner?: Owner,
  ): Keeper {
    const keeper = new Keeper(held, target, pid, SPEAKING_FD, report, owner);
    keeper.#parent = pid;
    process.on(KEEPER_ENDED, () => {
      if (keeper.pid === pid) keeper.#replace();
    });
    check(setParentDeathSignal(system.signals[KEEPER_ENDED]), { operation: 'watch the keeper' });
    if (process.ppid !== pid) keeper.#replace();
    return keeper;
  }

  /** Tells the keeper that has started this process to end, as another one counts. */
  static refuseParent(): void {
    writeSync(SPEAKING_FD, 'end\n');
  }

  #start(): void {
    const pipe = makePipe();
    if (typeof pipe === 'number') throw new OverlayError({ operation: 'start the keeper', errno: pipe });
    const [listening, speaking] = pipe;
    this.speaking = speaking;
    let child: ChildProcess;
    try {
      child = this.#spawn(listening);
    } finally {
      closeSync(listening);
    }
    const pid = child.pid ?? 0;
    this.pid = pid;
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

  #spawn(listening: number): ChildProcess {
    const { state, device = 'ignore', descriptors } = this.held;
    const stdio: ('ignore' | number)[] = Array.from({ length: FIRST_HELD_FD }, () => 'ignore');
    stdio[1] = stdio[LOG_FD] = LOG_FD;
    stdio[STATE_FD] = state;
    stdio[DEVICE_FD] = device;
    stdio[LISTENING_FD] = listening;
    const script = fileURLToPath(new URL('./keeper.sh', import.meta.url));
    const { main, flags = [] } = this.owner?.successor ?? MOUNT_SERVER;
    const command = [script, process.execPath, main, this.target, String(this.#number), ...flags];
    return spawn('/bin/sh', command, { detached: true, cwd: '/', stdio: [...stdio, ...descriptors] });
  }

  /**
   * Another keeper with other descriptors takes the place of the present one. Throws an OverlayError; then
   * nothing has changed.
   */
  hold({ held, number, begin }: Holding): void {
    const before = { held: this.held, number: this.#number, pid: this.pid, speaking: this.speaking };
    try {
      this.held = held;
      this.#number = number;
      this.#start();
      if (this.pid === 0) {
        throw new OverlayError({
          operation: 'start the keeper',
          reason: 'this user may have no more processes',
          remedy: 'end some, or raise the limit (`ulimit -u`)',
        });
      }
    } catch (failure) {
      if (this.speaking !== before.speaking) closeSync(this.speaking);
      this.held = before.held;
      this.#number = before.number;
      this.pid = before.pid;
      this.speaking = before.speaking;
      throw failure;
    }
    begin();
    say(before.speaking, 'end');
    closeSync(before.speaking);
    this.replaced();
  }

  /** What it holds may have changed since. */
  #startFor(owner: Owner): void {
    const holding = owner.holding();
    if (holding === undefined) {
      this.#dismissed = true;
      this.pid = 0;
      return;
    }
    this.held = holding.held;
    this.#number = holding.number;
    this.#start();
    holding.begin();
  }

  /** The mount is served without one. */
  #giveUp(reason: string): void {
    this.report(`the mount will not outlive its server: no keeper can be started: ${reason}`);
    this.#dismissed = true;
    this.pid = 0;
  }

  /** Its end was not asked for: another one takes its place. */
  #replace(): void {
    if (this.#dismissed) return;
    this.#quickEnds = performance.now() - this.#startedAt < QUICK_MS ? this.#quickEnds + 1 : 0;
    if (this.#quickEnds > MOST_QUICK_ENDS) {
      this.#giveUp('each one ends at once');
      return;
    }
    mountDebug('keeper %d has ended, another one is started', this.pid);
    closeSync(this.speaking);
    if (this.owner === undefined) this.#start();
    else this.#startFor(this.owner);
    this.replaced();
  }

  /** This process serves. */
  ready(): void {
    say(this.speaking, 'ready');
  }

  /** This process will not end although it is killed: it says nothing more, so that the end of others is heard. */
  hung(): void {
    say(this.speaking, 'hung');
    this.#dismissed = true;
    closeSync(this.speaking);
  }

  /** The next server is to be another program. */
  setProgram({ node, main, containerMain }: ServerPrograms): void {
    say(this.speaking, `node ${node}`);
    say(this.speaking, `main ${this.owner === undefined ? main : containerMain}`);
  }

  /** There is nothing to be held any more; settles when the keeper is gone, too. */
  async dismiss(): Promise<void> {
    if (this.#dismissed) return;
    this.#dismissed = true;
    say(this.speaking, 'end');
    while (this.#alive.size > 0 || process.ppid === this.#parent) await delay(1);
    closeSync(this.speaking);
  }

  /** Bytes; 0 where there is no keeper. */
  get residentMemory(): number {
    return residentMemoryOf(this.pid);
  }
}

/** A keeper that has ended hears nothing; another one will be there soon. */
function say(speaking: number, line: string): void {
  try {
    writeSync(speaking, `${line}\n`);
  } catch (failure) {
    if ((failure as NodeJS.ErrnoException).code !== 'EPIPE') throw failure;
  }
}
