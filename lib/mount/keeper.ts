// SPDX-License-Identifier: MIT
/**
 * The keeper of a mount, from the server's side: a process that holds what must outlive the
 * server and starts a new one when it ends (keeper.sh). The first server starts the keeper;
 * later servers are its children. A keeper that ends before the mount does is replaced, so
 * either of the two may be killed at any moment, but not both at once.
 *
 * Descriptors of the keeper, and of every server after the first:
 *   3 the state, 4 /dev/fuse, from 10 on the union's in the order in which it hands them on
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
import type { KeeperFigures } from './config.js';
import { hasProcess, residentMemoryOf } from './registry.js';
import { SERVER_MAIN } from './server-process.js';

export const STATE_FD = 3;
export const DEVICE_FD = 4;
const LISTENING_FD = 7;
/** Where a server that the keeper has started speaks. */
export const SPEAKING_FD = 9;
export const FIRST_UNION_FD = 10;
const LOG_FD = 2;
/** A keeper that lives for less has not begun; so many of them never will. */
const QUICK_MS = 200;
const MOST_QUICK_ENDS = 8;
/** A keeper's end is told to servers that are its children by this signal. */
const KEEPER_ENDED = 'SIGUSR2';

/** What a keeper holds. */
export interface Held {
  state: number;
  device: number;
  descriptors: readonly number[];
}

export class Keeper implements KeeperFigures {
  /** Called when another one has taken its place. */
  replaced: () => void = () => undefined;
  #dismissed = false;
  #startedAt = 0;
  #quickEnds = 0;

  private constructor(
    private readonly held: Held,
    private readonly target: string,
    public pid: number,
    private speaking: number,
    private readonly report: (text: string) => void,
  ) {}

  /** Starts a keeper for a mount of this process. Throws an OverlayError. */
  static start(held: Held, target: string, report: (text: string) => void): Keeper {
    const keeper = new Keeper(held, target, 0, -1, report);
    keeper.#start();
    return keeper;
  }

  /** The keeper that has started this process. */
  static parent(held: Held, target: string, pid: number, report: (text: string) => void): Keeper {
    const keeper = new Keeper(held, target, pid, SPEAKING_FD, report);
    process.on(KEEPER_ENDED, () => keeper.#replace());
    check(setParentDeathSignal(system.signals[KEEPER_ENDED]), { operation: 'watch the keeper' });
    if (process.ppid !== pid) keeper.#replace();
    return keeper;
  }

  #start(): void {
    const pipe = makePipe();
    if (typeof pipe === 'number') throw new OverlayError({ operation: 'start the keeper', errno: pipe });
    const [listening, speaking] = pipe;
    this.speaking = speaking;
    const child = this.#spawn(listening);
    closeSync(listening);
    this.pid = child.pid ?? 0;
    this.#startedAt = performance.now();
    child.once('error', (failure) => this.#giveUp(failure.message));
    child.once('exit', () => this.#replace());
    child.unref();
  }

  #spawn(listening: number): ChildProcess {
    const { state, device, descriptors } = this.held;
    const stdio: ('ignore' | number)[] = Array.from({ length: FIRST_UNION_FD }, () => 'ignore');
    stdio[1] = stdio[LOG_FD] = LOG_FD;
    stdio[STATE_FD] = state;
    stdio[DEVICE_FD] = device;
    stdio[LISTENING_FD] = listening;
    const script = fileURLToPath(new URL('./keeper.sh', import.meta.url));
    return spawn('/bin/sh', [script, process.execPath, SERVER_MAIN, this.target], {
      detached: true,
      cwd: '/',
      stdio: [...stdio, ...descriptors],
    });
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
    this.#start();
    this.replaced();
  }

  /** A keeper that has ended hears nothing; another one will be there soon. */
  #say(line: string): void {
    try {
      writeSync(this.speaking, `${line}\n`);
    } catch (failure) {
      if ((failure as NodeJS.ErrnoException).code !== 'EPIPE') throw failure;
    }
  }

  /** This process serves. */
  ready(): void {
    this.#say('ready');
  }

  /** This process will not end although it is killed: it says nothing more, so that the end of others is heard. */
  hung(): void {
    this.#say('hung');
    this.#dismissed = true;
    closeSync(this.speaking);
  }

  /** The next server is to be another program. */
  setProgram(node: string, main: string): void {
    this.#say(`node ${node}`);
    this.#say(`main ${main}`);
  }

  /** The mount is gone; settles when the keeper is, too. */
  async dismiss(): Promise<void> {
    this.#dismissed = true;
    this.#say('end');
    while (this.pid > 0 && hasProcess(this.pid)) await delay(1);
    closeSync(this.speaking);
  }

  /** Bytes; 0 where there is no keeper. */
  get residentMemory(): number {
    return residentMemoryOf(this.pid);
  }
}
