// SPDX-License-Identifier: MIT
/**
 * A process that kills the server of a mount again and again, at random moments, while the
 * test is at work: a program of its own, because the test waits in system calls for as long
 * as there is no server.
 *
 *   node killer.js TARGET KILLS LONGEST_MS SEED
 *
 * It waits until a new server is in the list of mounts, and then up to LONGEST_MS. Its last
 * line says how many servers it killed, and how long it took at most until the next one was there.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { readRecords } from '../../lib/mount/records.js';
import { Random } from './random.js';

/**
 * How long a mount may be without a server, in ms. On a machine with nothing else to do it is a fraction of a second
 * (bench/), on one that is used what other programs leave.
 */
export const LONGEST_GAP_MS = 5000;

export interface Kills {
  kills: number;
  /** Milliseconds without a server in the list, at most. */
  longestGap: number;
}

/** Starts killing; `stop` ends it, `done` settles when all kills are made or it was stopped. */
export function startKiller(
  target: string,
  kills: number,
  longest: number,
  seed: number,
): { done: Promise<Kills>; stop(): void } {
  const child: ChildProcess = spawn(
    process.execPath,
    [fileURLToPath(import.meta.url), target, String(kills), String(longest), String(seed)],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  let said = '';
  child.stdout!.on('data', (chunk) => {
    said += chunk;
  });
  const done = new Promise<Kills>((resolve, reject) => {
    child.on('close', () => {
      const last = said.trim().split('\n').at(-1)!;
      if (last.startsWith('{')) resolve(JSON.parse(last) as Kills);
      else reject(new Error(`the killer says ${said}`));
    });
  });
  return { done, stop: () => void child.kill('SIGTERM') };
}

async function main(target: string, kills: number, longest: number, seed: number): Promise<void> {
  const random = new Random(seed);
  const result: Kills = { kills: 0, longestGap: 0 };
  let stopped = false;
  process.on('SIGTERM', () => {
    stopped = true;
  });
  let last = 0;
  // The last thing is to see the server that takes the place of the last one killed.
  while (result.kills <= kills) {
    const since = performance.now();
    let server = last;
    while (server === last || server === 0) {
      await delay(1);
      server = readRecords().find((record) => record.target === target)?.serverPid ?? 0;
    }
    if (last !== 0) result.longestGap = Math.max(result.longestGap, performance.now() - since);
    if (stopped || result.kills === kills) break;
    await delay(random.below(longest + 1));
    process.kill(server, 'SIGKILL');
    last = server;
    result.kills++;
  }
  process.stdout.write(`${JSON.stringify(result)}\n`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [target, ...numbers] = process.argv.slice(2);
  await main(target, Number(numbers[0]), Number(numbers[1]), Number(numbers[2]));
}
