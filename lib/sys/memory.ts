// SPDX-License-Identifier: MIT
/** Memory of this process. */
import { raw } from './libc.js';

/** Gives back to the system what malloc(3) keeps and nobody uses (malloc_trim(3)). */
export function trimMemory(): void {
  raw.mallocTrim(0);
}
