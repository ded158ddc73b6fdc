// SPDX-License-Identifier: MIT
/**
 * Processes that somebody else started and that are this one's children all the same
 * (PR_SET_CHILD_SUBREAPER of prctl(2), wait(2)). Those that Node started are Node's to wait for.
 */
import { raw, result } from './libc.js';

const PR_SET_CHILD_SUBREAPER = 36;
const WNOHANG = 1;
const SIGNAL_BASE = 128;

/** Descendants whose parent ends become this process's children. */
export function adoptOrphans(): number {
  return result(raw.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0));
}

/** How a child has ended, 128 and the signal where one ended it; undefined while it runs; or a negated errno. */
export function reapChild(pid: number): number | undefined {
  const out = Buffer.alloc(4);
  const found = result(raw.waitpid(pid, out, WNOHANG));
  if (found === 0) return undefined;
  if (found < 0) return found;
  return exitCodeOf(out.readInt32LE(0));
}

/** A wait status (wait(2)) as shells say it: 128 and the signal where one ended the process. */
export function exitCodeOf(status: number): number {
  const signal = status & 0x7f;
  return signal === 0 ? (status >> 8) & 0xff : SIGNAL_BASE + signal;
}
