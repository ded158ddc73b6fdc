// SPDX-License-Identifier: MIT
/** How a failure is shown: one line that says what is wrong and what to do; more with --debug. */
import { OverlayError, UsageError } from '../base/errors.js';

/** Prints it and answers the exit code. */
export function reportFailure(failure: unknown, debug: boolean): number {
  const error = failure instanceof Error ? failure : new Error(String(failure));
  process.stderr.write(`tsoverlay: ${error.message.replaceAll('\n', ' ')}\n`);
  if (debug) process.stderr.write(`${error.stack}\n${describeCause(error.cause)}`);
  else if (!(failure instanceof OverlayError)) {
    process.stderr.write('tsoverlay: this should not happen; run it again with --debug and report it\n');
  }
  return failure instanceof UsageError ? 2 : 1;
}

function describeCause(cause: unknown): string {
  if (cause === undefined) return '';
  return `caused by: ${cause instanceof Error ? cause.stack : String(cause)}\n`;
}
