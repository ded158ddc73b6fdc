// SPDX-License-Identifier: MIT
/**
 * The error that leaves a room: what was tried, on what, why it failed and what
 * the user can do. Inside the engine failures travel as errno numbers
 * (errno.ts); they become an OverlayError where a person or a program meets them.
 */
import { errnoName } from './errno.js';

export interface ErrorStory {
  /** What was tried, as a verb: `mount`, `open layer`. */
  operation: string;
  /** The path it was tried on, as a person would write it. */
  path?: string | undefined;
  /** The layer concerned, as given by the user. */
  layer?: string | undefined;
  /** Errno, negated or not; gives the error its `code`. */
  errno?: number | undefined;
  /** What is wrong, in words; without it the errno's name stands. */
  reason?: string | undefined;
  /** What the user can do about it. */
  remedy?: string | undefined;
  cause?: unknown;
}

/** An error with operation, path, layer, cause and remedy. `code` is the errno's name, as in `node:fs`. */
export class OverlayError extends Error {
  readonly operation: string;
  readonly path: string | undefined;
  readonly layer: string | undefined;
  readonly errno: number | undefined;
  readonly code: string | undefined;
  readonly reason: string | undefined;
  readonly remedy: string | undefined;

  constructor(story: ErrorStory) {
    super(composeMessage(story), story.cause === undefined ? undefined : { cause: story.cause });
    this.name = 'OverlayError';
    this.operation = story.operation;
    this.path = story.path;
    this.layer = story.layer;
    this.errno = story.errno === undefined ? undefined : -Math.abs(story.errno);
    this.code = story.errno === undefined ? undefined : errnoName(story.errno);
    this.reason = story.reason;
    this.remedy = story.remedy;
  }
}

/** A mistake in how the program was called: shown without more ado, exit code 2. */
export class UsageError extends OverlayError {
  constructor(reason: string, remedy?: string) {
    super({ operation: 'usage', reason, remedy });
    this.name = 'UsageError';
  }
}

function composeMessage(story: ErrorStory): string {
  const what = story.operation === 'usage' ? [] : [story.operation];
  if (story.path !== undefined) what.push(quote(story.path));
  if (story.layer !== undefined && story.layer !== story.path) what.push(`(layer ${quote(story.layer)})`);
  const why = story.reason ?? (story.errno === undefined ? 'failed' : errnoName(story.errno));
  const head = what.length > 0 ? `${what.join(' ')}: ${why}` : why;
  return story.remedy === undefined ? head : `${head}; ${story.remedy}`;
}

/** A name as it can be shown on one line: quoted only where it holds anything unusual. */
export function quote(name: string): string {
  return /^[\w./:@%+,=~-]+$/.test(name) ? name : JSON.stringify(name);
}

/** Throws an OverlayError when `result` is a negated errno, else gives it back. */
export function check(result: number, story: ErrorStory): number;
export function check<T extends object>(result: T | number, story: ErrorStory): T;
export function check<T extends object>(result: T | number, story: ErrorStory): T | number {
  if (typeof result === 'number' && result < 0) throw new OverlayError({ ...story, errno: result });
  return result;
}

/** The known name closest to a mistyped one, if it is close enough to be meant. */
export function nearestName(name: string, known: readonly string[]): string | undefined {
  return nearestNames(name, known)[0];
}

/** The known names that are close enough to a mistyped one to be meant, the closest first. */
export function nearestNames(name: string, known: readonly string[]): string[] {
  // Of a name of two letters, one that has neither is not meant.
  const furthest = Math.min(Math.max(2, Math.floor(name.length / 3)), name.length - 1);
  return [...new Set(known)]
    .map((candidate) => ({ candidate, distance: editDistance(name, candidate) }))
    .filter(({ distance }) => distance <= furthest)
    .sort((a, b) => a.distance - b.distance)
    .map(({ candidate }) => candidate);
}

/** Levenshtein's distance. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next[j] = Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1));
    }
    row = next;
  }
  return row[b.length];
}
