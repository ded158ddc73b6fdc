// SPDX-License-Identifier: MIT
/** Steps that fail. */
import type { OverlayError } from '../../base/errors.js';
import { type Place, PlacedError } from '../language/failure.js';
import type { StageState } from './stage-state.js';

/** What a shell needs to be opened where the step began. */
export interface StateBefore {
  state: StageState;
  /** `NAME=VALUE` of ARGs and proxies. */
  env: string[];
}

/** A step that could not be done: where it stands, and why. */
export class StepError extends PlacedError {
  constructor(place: Place, { message, cause }: OverlayError) {
    super(place, { operation: 'build', reason: message, cause });
    this.name = 'StepError';
  }
}

/** A RUN whose program failed. */
export class StepFailure extends PlacedError {
  constructor(
    place: Place,
    readonly instruction: string,
    readonly exitCode: number,
    readonly before: StateBefore,
  ) {
    super(place, {
      operation: 'build',
      reason: `\`${instruction}\` ended with exit code ${exitCode}`,
      remedy: 'look around in the state before it with `tsoverlay build --debug-shell`',
    });
    this.name = 'StepFailure';
  }
}
