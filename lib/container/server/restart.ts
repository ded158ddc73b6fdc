// SPDX-License-Identifier: MIT
/** When a container that has ended is started again (Docker's restart policies). */
import type { ContainerState, RestartPolicy } from '../state/config.js';

const FIRST_DELAY_MS = 100;
const LONGEST_DELAY_MS = 60_000;
/** One that ran so long did not fail at once: the next wait is short again. */
const GOOD_RUN_MS = 10_000;

export function isRestarted(
  policy: RestartPolicy,
  exitCode: number,
  { stopped, restarts }: Pick<ContainerState, 'stopped' | 'restarts'>,
): boolean {
  if (stopped || policy.name === 'no') return false;
  if (policy.name !== 'on-failure') return true;
  return exitCode !== 0 && (policy.retries === 0 || restarts < policy.retries);
}

/** Milliseconds before the restart of that number; `ran` is how long it ran last. */
export function restartDelay(restarts: number, ran: number): number {
  if (ran >= GOOD_RUN_MS) return FIRST_DELAY_MS;
  return Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** (restarts - 1));
}
