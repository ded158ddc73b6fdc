// SPDX-License-Identifier: MIT
/** Where archives go that a command makes. */
import { createWriteStream, renameSync, rmSync, statSync } from 'node:fs';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { OverlayError, UsageError } from '../../base/errors.js';
import { inOrder } from '../words/outputs.js';

/** Whether `-` was given. Throws UsageError for an empty path, which is no place. */
export function isStandard(path: string): boolean {
  if (path === '') throw new UsageError('a path is empty', 'write - for the standard input or output');
  return path === '-';
}

/** Whether there is something at a path that is written to and must not be replaced: /dev/null, a pipe. */
export function isSpecial(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() === false;
}

/** Writes to a file that appears when it is whole, or to standard output, which must be no terminal. */
export async function writeOut(
  bytes: Iterable<Buffer> | AsyncIterable<Buffer>,
  path: string | undefined,
): Promise<void> {
  if (path === undefined || isStandard(path)) {
    if (process.stdout.isTTY)
      throw new UsageError('an archive is nothing for a terminal', 'give --output FILE or redirect it');
    await inOrder(() => pipeline(Readable.from(bytes, { objectMode: false }), process.stdout));
    return;
  }
  const written = isSpecial(path) ? path : `${path}.${process.pid}.tmp`;
  try {
    await pipeline(Readable.from(bytes, { objectMode: false }), createWriteStream(written));
    if (written !== path) renameSync(written, path);
  } catch (cause) {
    if (written !== path) rmSync(written, { force: true });
    if (cause instanceof OverlayError) throw cause;
    throw new OverlayError({ operation: 'write', path, reason: (cause as Error).message, cause });
  }
}
