// SPDX-License-Identifier: MIT
/** What is wrong with a Dockerfile: where, and what was expected. */
import { OverlayError } from '../../base/errors.js';

/** A place in a Dockerfile. */
export interface Place {
  /** As it was given on the command line. */
  file: string;
  /** From 1. */
  line: number;
}

export class DockerfileError extends OverlayError {
  constructor({ file, line }: Place, reason: string, remedy?: string) {
    super({ operation: 'read', path: `${file}:${line}`, reason, remedy });
    this.name = 'DockerfileError';
  }
}
