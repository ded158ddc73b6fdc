// SPDX-License-Identifier: MIT
import { fileURLToPath } from 'node:url';
import { trimMemory } from '../../sys/memory.js';

/** What a container's server runs, of this version. */
export const CONTAINER_MAIN = fileURLToPath(new URL('./server-main.js', import.meta.url));

/**
 * What keeps a container's server small, as there is one for each container: a young
 * generation that does not grow, fewer threads, one arena for malloc(3), and no more
 * compilers than two. The thread that serves allocates next to nothing, so its speed does
 * not depend on it. bin/tsoverlay has the same list.
 */
export const SMALL_PROCESS_FLAGS: readonly string[] = [
  '--max-semi-space-size=1',
  '--v8-pool-size=1',
  '--single-threaded-gc',
  '--no-sparkplug',
  '--no-maglev',
  '--expose-gc',
];

export const SMALL_PROCESS_ENVIRONMENT: NodeJS.ProcessEnv = {
  MALLOC_ARENA_MAX: '1',
  UV_THREADPOOL_SIZE: '1',
};

/** What was needed for a start is not needed any more by then. */
const STARTED_MS = 1000;

/** Gives back, in a moment, what the start of this process has left: a megabyte. */
export function tidyMemoryLater(): void {
  setTimeout(() => {
    gc?.();
    trimMemory();
  }, STARTED_MS).unref();
}
