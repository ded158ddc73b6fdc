// SPDX-License-Identifier: MIT
/** Steps that fail. */
import { OverlayError } from '../../base/errors.js';
import type { Place } from '../language/failure.js';
import type { StageState } from './stage-state.js';

/** What a shell needs to be opened where the step began. */
export interface StateBefore {
  state: StageState;
  /** `NAME=VALUE` of ARGs and proxies. */
  env: string[];
}

/** A step that could not be done: where it stands, and why. */
export class StepError extends OverlayError {
  constructor({ file, line }: Place, { message, cause }: OverlayError) {
    super({ operation: 'build', path: `${file}:${line}`, reason: message, cause });
    this.name = 'StepError';
  }
}

/** A RUN whose program failed. */
export class StepFailure extends OverlayError {
  constructor(
    { file, line }: Place,
    readonly instruction: string,
    readonly exitCode: number,
    readonly before: StateBefore,
  ) {
    super({
      operation: 'build',
      path: `${file}:${line}`,
      reason: `\`${instruction}\` ended with exit code ${exitCode}`,
      remedy: 'look around in the state before it with `tsoverlay build --debug-shell`',
    });
    this.name = 'StepFailure';
  }
}
