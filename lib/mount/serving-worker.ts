// SPDX-License-Identifier: MIT
/** Starts the serving thread; ahead of time where it is known that one will be wanted. */
import { Worker } from 'node:worker_threads';

let prepared: Worker | undefined;

function startThread(): Worker {
  return new Worker(new URL('./serving-thread.js', import.meta.url));
}

/** Starts a thread that waits for its input. */
export function prepareServingThread(): void {
  prepared ??= startThread();
  // It keeps the process alive only once it serves.
  prepared.unref();
}

/** The prepared thread, or a new one. */
export function takeServingThread(): Worker {
  const worker = prepared ?? startThread();
  prepared = undefined;
  worker.ref();
  return worker;
}
