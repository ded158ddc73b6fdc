// SPDX-License-Identifier: MIT
/** SIGINT, SIGTERM and an output that cannot be written end a command in order: what it was making is taken away before it ends. */
import { OverlayError } from '../../base/errors.js';
import { inOrder } from './outputs.js';

const SIGNALS = ['SIGINT', 'SIGTERM'] as const;

/** Runs work that ends when its signal is aborted. Throws an OverlayError when it was interrupted. */
export async function interruptible<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const interrupted = new AbortController();
  const stop = (): void =>
    interrupted.abort(
      new OverlayError({ operation: 'carry on', reason: 'it was interrupted; nothing half done is left' }),
    );
  for (const signal of SIGNALS) process.once(signal, stop);
  try {
    return await inOrder((failed) => {
      failed.addEventListener('abort', () => interrupted.abort(failed.reason), { once: true });
      return work(interrupted.signal);
    });
  } catch (failure) {
    throw interrupted.signal.aborted ? interrupted.signal.reason : failure;
  } finally {
    for (const signal of SIGNALS) process.off(signal, stop);
  }
}
