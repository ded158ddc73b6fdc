// SPDX-License-Identifier: MIT
/** How a failure is shown: one line that says what is wrong and what to do; more with --debug. */
import { OverlayError, UsageError } from '../base/errors.js';
import { CODE_FAILED, ContainerFailure } from '../container/state/failure.js';
import { isFull, storeFailure } from '../image/store/staging.js';

/** Prints it and answers the exit code; `runsProgram`: that of a program comes from the same command. */
export function reportFailure(failure: unknown, debug: boolean, runsProgram = false): number {
  if (isSuppressed(failure)) return reportFailure(failure.suppressed, debug, runsProgram);
  // A disk may be full wherever something is written.
  if (failure instanceof Error && 'path' in failure && !(failure instanceof OverlayError) && isFull(failure))
    return reportFailure(storeFailure('write', String(failure.path), failure), debug, runsProgram);
  const error = failure instanceof Error ? failure : new Error(String(failure));
  process.stderr.write(`tsoverlay: ${error.message.replaceAll('\n', ' ')}\n`);
  if (debug) process.stderr.write(`${error.stack}\n${describeCause(error.cause)}`);
  else if (!(failure instanceof OverlayError)) {
    process.stderr.write('tsoverlay: this should not happen; run it again with --debug and report it\n');
  }
  if (runsProgram) return failure instanceof ContainerFailure ? failure.exitCode : CODE_FAILED;
  return failure instanceof UsageError ? 2 : 1;
}

/** What undoing a change added to its failure is the failure's consequence (`using`, SuppressedError). */
function isSuppressed(failure: unknown): failure is { suppressed: unknown } {
  return failure instanceof Error && failure.name === 'SuppressedError' && 'suppressed' in failure;
}

function describeCause(cause: unknown): string {
  if (cause === undefined) return '';
  return `caused by: ${cause instanceof Error ? cause.stack : String(cause)}\n`;
}
