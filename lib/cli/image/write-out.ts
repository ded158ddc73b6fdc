// SPDX-License-Identifier: MIT
/** Where archives go that a command makes. */
import { createWriteStream, renameSync, rmSync } from 'node:fs';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { OverlayError, UsageError } from '../../base/errors.js';
import { inOrder } from '../outputs.js';

/** Whether `-` was given, which yargs hands over as an empty text. */
export function isStandard(path: string): boolean {
  return path === '-' || path === '';
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
  const temporary = `${path}.${process.pid}.tmp`;
  try {
    await pipeline(Readable.from(bytes, { objectMode: false }), createWriteStream(temporary));
    renameSync(temporary, path);
  } catch (cause) {
    rmSync(temporary, { force: true });
    if (cause instanceof OverlayError) throw cause;
    throw new OverlayError({ operation: 'write', path, reason: (cause as Error).message, cause });
  }
}
