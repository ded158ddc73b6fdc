// SPDX-License-Identifier: MIT
/** Work that goes on side by side and makes sense only as a whole. */
import { OverlayError } from '../../base/errors.js';

/**
 * Starts tasks that end when their signal is aborted, and waits for all of them. The
 * first failure aborts the others; what is thrown is the failure that says why, not
 * what the others saw when they were ended.
 */
export async function together(
  start: (signal: AbortSignal) => Promise<void>[],
  outer?: AbortSignal,
): Promise<void> {
  const failed = new AbortController();
  const signal = outer === undefined ? failed.signal : AbortSignal.any([failed.signal, outer]);
  const running = start(signal).map((task) =>
    task.catch((failure) => {
      failed.abort(failure);
      throw failure;
    }),
  );
  const failures = (await Promise.allSettled(running))
    .filter((result) => result.status === 'rejected')
    .map(({ reason }) => reason as Error);
  if (failures.length === 0) return;
  throw failures.find((failure) => failure instanceof OverlayError) ?? failed.signal.reason;
}
