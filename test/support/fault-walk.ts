// SPDX-License-Identifier: MIT
/**
 * Walks through the fault points of a server (fault-points.cts): what a program does is done
 * as often as there are points in it, each time with a kill at the next one, and each time on
 * kernel overlayfs as well.
 *
 * Every FAULT_STRIDE-th point is tried, beginning with a random one (FAULT_SEED); 1 for all.
 */
import { closeSync, mkdirSync, openSync, readSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import * as files from '../../lib/sys/files.js';
import { S_IFDIR, Stat, statFd } from '../../lib/sys/stat.js';
import { makeLayers, scratch } from './ground.js';
import { apply, type Operation } from './operations.js';
import { compare, type Flavour, makeLowers, makePair, mounted, type Pair } from './pairs.js';
import { snapshot } from './snapshot.js';

const stride = Number(process.env.FAULT_STRIDE ?? 700);
/** Prime. */
const STEP = 7919;
let walked = 0;
const seed = Number(process.env.FAULT_SEED ?? Date.now() % 2 ** 31);
const MOST_POINTS = 1000;

/** What a program does while the server is killed; answers all that it sees. */
export interface Scenario {
  name: string;
  /** Before it, undisturbed. */
  before?: readonly Operation[];
  act(root: number): string;
}

export function steps(
  name: string,
  before: readonly Operation[],
  ...operations: readonly Operation[]
): Scenario {
  return { name, before, act: (root) => operations.map((operation) => apply(root, operation)).join(', ') };
}

/** A program that has `path` open while its name goes. Kernel overlayfs counts the names of a lower file then as it did before. */
export function whileOpen(
  name: string,
  path: string,
  flags: number,
  change: (root: number, fd: number) => number,
): Scenario {
  return {
    name,
    act: (root) => {
      const fd = files.openAt(root, path, flags);
      const stat = new Stat();
      statFd(fd, stat);
      const buffer = Buffer.alloc(100);
      const changed = change(root, fd);
      const size = stat.type === S_IFDIR ? -1 : files.readFully(fd, buffer, 100, 0);
      const known = statFd(fd, stat);
      files.close(fd);
      return `${changed} ${size} ${buffer.subarray(0, Math.max(size, 0)).toString()} ${known} ${stat.mode}`;
    },
  };
}

/** The countdown that the server looks at (fault-points.cts). */
class Countdown {
  readonly #fd: number;

  constructor(path: string) {
    writeFileSync(path, Buffer.alloc(4096));
    this.#fd = openSync(path, 'r+');
  }

  set(points: number): void {
    const bytes = Buffer.alloc(8);
    bytes.writeInt32LE(points, 0);
    writeSync(this.#fd, bytes, 0, 8, 0);
  }

  /** Whether it was over since it was set. */
  get fired(): boolean {
    const bytes = Buffer.alloc(8);
    readSync(this.#fd, bytes, 0, 8, 0);
    return bytes.readInt32LE(4) > 0;
  }

  close(): void {
    closeSync(this.#fd);
  }
}

/** Runs a scenario on one case directory of both; the server is killed at the nth point. Answers whether there was one. */
function tryPoint(
  pair: Pair,
  name: string,
  scenario: Scenario,
  countdown: Countdown,
  point: number,
): boolean {
  const roots = [pair.kernel, pair.ours].map(({ target }) =>
    files.openPath(join(target, name), files.O_PATH),
  );
  try {
    for (const step of scenario.before ?? []) {
      const [expected, actual] = roots.map((root) => apply(root, step));
      if (expected !== actual) throw new Error(`before it: ${JSON.stringify(step)}: ${expected}, ${actual}`);
    }
    const expected = scenario.act(roots[0]);
    countdown.set(point);
    const actual = scenario.act(roots[1]);
    const { fired } = countdown;
    countdown.set(0);
    if (expected !== actual) throw new Error(`kernel ${expected}, ours ${actual}`);
    compare('merged tree', snapshot(join(pair.kernel.target, name)), snapshot(join(pair.ours.target, name)));
    return fired;
  } finally {
    for (const root of roots) files.close(root);
  }
}

export interface Walk {
  flavour: Flavour;
  scenarios: readonly Scenario[];
  /** How many points there are in all scenarios together, at most. */
  points: number;
  /** Whether the kernel sends requests again that were read by a server that has ended. */
  resends?: boolean;
  /** Makes a file system below a directory, answers the directory on it that our upper and work directory are to lie in. */
  ground?: (t: Test, base: string) => string;
  /** A shell script that adds to the lowest layer of a case. */
  lowest?: string;
}

/** Tries the points of each scenario; fails the test for each at which a difference is seen. */
export async function walkPoints(t: Test, walk: Walk): Promise<void> {
  const { flavour, scenarios, resends = true } = walk;
  t.comment(`seed ${seed}, every ${stride}th point`);
  const base = scratch(t);
  const cases = Math.ceil(walk.points / stride) + 2 * scenarios.length;
  const lowers = makeLowers(base, cases, walk.lowest);
  const pair = makePair(base, lowers);
  if (walk.ground !== undefined) {
    const { upper, work } = makeLayers(walk.ground(t, base), 0);
    pair.ours = { ...pair.ours, upper, work };
  }
  mkdirSync(join(base, 'faults'));
  const countdown = new Countdown(join(base, 'faults/countdown'));
  const { NODE_OPTIONS } = process.env;
  process.env.FAULT_POINTS = join(base, 'faults/countdown');
  process.env.NODE_OPTIONS = `--require=${new URL('./fault-points.cjs', import.meta.url).pathname}`;
  if (!resends) process.env.FAULT_NO_RESEND = '1';
  let tried = 0;
  try {
    await mounted(t, pair, flavour, () => {
      for (const scenario of scenarios) tried += walkScenario(t, pair, scenario, countdown, tried);
    });
  } finally {
    countdown.close();
    delete process.env.FAULT_POINTS;
    delete process.env.FAULT_NO_RESEND;
    if (NODE_OPTIONS === undefined) delete process.env.NODE_OPTIONS;
    else process.env.NODE_OPTIONS = NODE_OPTIONS;
  }
  t.ok(tried > 0, `${tried} points of ${scenarios.length} scenarios`);
}

/** Answers how many case directories it used. */
function walkScenario(t: Test, pair: Pair, scenario: Scenario, countdown: Countdown, first: number): number {
  let used = 0;
  // Each scenario begins elsewhere: a run takes about as long as another.
  walked++;
  let point = 1 + ((seed + walked * STEP) % stride);
  for (let fired = true; fired && point < MOST_POINTS; point += stride) {
    const name = `case${first + used++}`;
    try {
      fired = tryPoint(pair, name, scenario, countdown, point);
    } catch (failure) {
      t.fail(`${scenario.name}, point ${point} (${name}): ${(failure as Error).message}`);
    }
  }
  t.comment(`${scenario.name}: up to point ${point - 2 * stride}`);
  return used;
}
