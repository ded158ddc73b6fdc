// SPDX-License-Identifier: MIT
/** Failures of containers, with the exit codes that Docker has for them. */
import { type ErrorStory, OverlayError } from '../../base/errors.js';

/** The container could not be made or started. */
export const CODE_FAILED = 125;
/** The program is there and could not be run. */
export const CODE_NOT_EXECUTABLE = 126;
/** There is no such program. */
export const CODE_NOT_FOUND = 127;

export class ContainerFailure extends OverlayError {
  constructor(
    story: ErrorStory,
    readonly exitCode = CODE_FAILED,
  ) {
    super(story);
  }
}
