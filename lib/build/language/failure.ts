// SPDX-License-Identifier: MIT
/** What is wrong with a Dockerfile: where, and what was expected. */
import { type ErrorStory, OverlayError } from '../../base/errors.js';

/** A place in a Dockerfile. */
export interface Place {
  /** As it was given on the command line. */
  file: string;
  /** From 1. */
  line: number;
  /** From 1; undefined for the whole instruction. */
  column?: number;
}

/** A failure of which the place in a Dockerfile is known: `Dockerfile:2`, `Dockerfile:2:13`. */
export class PlacedError extends OverlayError {
  constructor(
    readonly place: Place,
    story: ErrorStory,
  ) {
    const { file, line, column } = place;
    super({ ...story, path: `${file}:${line}${column === undefined ? '' : `:${column}`}` });
  }
}

export class DockerfileError extends PlacedError {
  constructor(place: Place, reason: string, remedy?: string) {
    super(place, { operation: 'read', reason, remedy });
    this.name = 'DockerfileError';
  }
}
