// SPDX-License-Identifier: MIT
/** Where in a Dockerfile a word of an instruction stands. */
import type { Dockerfile } from '../language/dockerfile.js';
import type { Place } from '../language/failure.js';

/** What goes on in the next line, or is passed over: a continuation, a comment, an empty line. */
const GOES_ON = /[\\`][ \t\r]*$|^\s*(#|$)/;

/** The line and column of what follows `before` in an instruction; its own place where that is written otherwise. */
export function locate({ text, file }: Dockerfile, place: Place, before: string, word: string): Place {
  // A trigger of ONBUILD is of another file.
  const lines = place.file === file ? text.split('\n') : [];
  for (let line = place.line; line <= lines.length; line++) {
    const at = lines[line - 1].indexOf(before + word);
    if (at >= 0) return { ...place, line, column: at + before.length + 1 };
    if (!GOES_ON.test(lines[line - 1])) break;
  }
  return place;
}
