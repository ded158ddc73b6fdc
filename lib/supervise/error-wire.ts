// SPDX-License-Identifier: MIT
/** An error on its way to another process or thread: everything that the user is told, and nothing that is not JSON. */
import { type ErrorStory, OverlayError, UsageError } from '../base/errors.js';

export interface WireError {
  /** A mistake in how the program was called. */
  usage: boolean;
  story: Omit<ErrorStory, 'cause'>;
  /** For a program that ends with it. */
  exitCode: number | undefined;
  stack: string | undefined;
}

/** `operation` is what was being done, for an error that does not say so itself. */
export function encodeError(failure: unknown, operation: string): WireError {
  if (!(failure instanceof OverlayError)) {
    const { message = String(failure), stack } = failure instanceof Error ? failure : {};
    return { usage: false, story: { operation, reason: message }, exitCode: undefined, stack };
  }
  const { path, layer, errno, reason, remedy, stack } = failure;
  const story = { operation: failure.operation, path, layer, errno, reason, remedy };
  const exitCode = 'exitCode' in failure ? Number(failure.exitCode) : undefined;
  return { usage: failure instanceof UsageError, story, exitCode, stack };
}

/** Makes the error again; `make`, where it is to be one of a class of its own. Its cause is the other side's stack. */
export function decodeError(
  { usage, story, exitCode, stack }: WireError,
  make: (story: ErrorStory, exitCode: number | undefined) => OverlayError = (whole) =>
    new OverlayError(whole),
): OverlayError {
  return usage
    ? new UsageError(story.reason ?? '', story.remedy)
    : make({ ...story, cause: stack }, exitCode);
}
