// SPDX-License-Identifier: MIT
/**
 * The main thread watches the serving thread: one that has had a request in hand for long
 * and makes no progress is stuck, in a system call that does not come back or in a loop. What
 * is progress the kernel says (/proc/PID/task/TID/io, proc(5)), so that a copy that takes an hour
 * is not taken for stuck, and serving pays nothing for being watched.
 */
import { readFileSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { mountDebug } from '../base/debug.js';
import { type LayerSet, lowerPaths } from '../overlay/open.js';
import type { ServerState } from './server-state.js';

/** Looks in the time that a request may take. */
const LOOKS = 4;
const LAYER_LOOK_MS = 500;

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
    const request = state.requestInHand;
    const now = request === '' ? '' : `${request} ${progressOf(thread)}`;
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

/** The paths of a union's lower layers in the order of their numbers, which begin at 1. */
function numberedPaths(set: LayerSet): string[] {
  return [...lowerPaths(set), ...(set.dataLowers ?? [])];
}

/** The paths of layers that do not answer. */
export function suspendedPaths(state: ServerState, set: LayerSet): string[] {
  return numberedPaths(set).filter((_, position) => state.watch.isSuspended(position + 1));
}

/** The path of a layer by its number, as it was given. */
export function layerPath(set: LayerSet, layer: number): string {
  return layer === 0 ? set.upper! : numberedPaths(set)[layer - 1];
}

export interface LayerDescriptor {
  layer: number;
  fd: number;
}

/** Looks whether suspended layers answer again, and lets them be asked then. Answers what ends it. */
export function awaitLayers(
  state: ServerState,
  suspended: readonly LayerDescriptor[],
  back: (layer: number) => void,
): () => void {
  const waiting = new Set<number>();
  const look = (): void => {
    for (const { layer, fd } of suspended) {
      if (waiting.has(layer) || !state.watch.isSuspended(layer)) continue;
      waiting.add(layer);
      // A thread of its own waits; it may do so for ever.
      stat(`/proc/self/fd/${fd}/.`)
        .then(
          () => {
            state.watch.resume(layer);
            back(layer);
          },
          (failure) => mountDebug('layer %d: %s', layer, failure),
        )
        .finally(() => waiting.delete(layer));
    }
  };
  const timer = setInterval(look, LAYER_LOOK_MS);
  timer.unref();
  return () => clearInterval(timer);
}
