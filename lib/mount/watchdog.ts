// SPDX-License-Identifier: MIT
/**
 * The main thread watches the serving thread: one that has had a request in hand for long
 * and makes no progress is stuck, in a system call that does not come back or in a loop. What
 * is progress the kernel says (/proc/PID/task/TID/io, proc(5)), so that a copy that takes an hour
 * is not taken for stuck, and serving pays nothing for being watched.
 */
import { readFileSync } from 'node:fs';
import { mountDebug } from '../base/debug.js';
import type { ServerState } from './server-state.js';

/** Looks in the time that a request may take. */
const LOOKS = 4;

/** Calls `stuck` with the seconds for which there was no progress. Answers what ends the watch. */
export function watchServing(
  state: ServerState,
  thread: number,
  limit: number,
  stuck: (seconds: number) => void,
): () => void {
  let last = '';
  let since = 0;
  const look = (): void => {
    const work = state.workInHand;
    const now = work === '' ? '' : `${work} ${progressOf(thread)}`;
    if (now === '' || now !== last) {
      last = now;
      since = performance.now();
      return;
    }
    const seconds = (performance.now() - since) / 1000;
    if (seconds >= limit) stuck(seconds);
  };
  const timer = setInterval(look, (limit / LOOKS) * 1000);
  timer.unref();
  return () => clearInterval(timer);
}

/** What the thread has read and written so far; '' where the kernel does not count it. */
function progressOf(thread: number): string {
  try {
    return readFileSync(`/proc/self/task/${thread}/io`, 'latin1');
  } catch (failure) {
    mountDebug('no progress to be seen: %s', failure);
    return '';
  }
}
