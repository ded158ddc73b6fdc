// SPDX-License-Identifier: MIT
/** Small documents in JSON that say what is now, replaced often and by one process at a time. */
import { renameSync, rmSync, writeFileSync } from 'node:fs';

/** What is padded to a block takes the place of another without more room. */
const BLOCK = 4096;

export function encodeBlock(value: object): Buffer {
  const bytes = Buffer.from(`${JSON.stringify(value, null, 2)}\n`);
  const size = Math.ceil(bytes.length / BLOCK) * BLOCK;
  return Buffer.concat([bytes, Buffer.alloc(size - bytes.length, ' ')]);
}

/**
 * Replaces a document by rename. Not waited for on its way to disk: after a power cut
 * nothing runs, whatever it says. On a full disk it is written over what is there, in
 * the same blocks, so that whatever runs can always end.
 */
export function replaceBlock(path: string, value: object): void {
  const bytes = encodeBlock(value);
  try {
    writeFileSync(`${path}.new`, bytes, { mode: 0o600 });
    renameSync(`${path}.new`, path);
  } catch (failure) {
    const { code } = failure as NodeJS.ErrnoException;
    if (code !== 'ENOSPC' && code !== 'EDQUOT') throw failure;
    rmSync(`${path}.new`, { force: true });
    writeFileSync(path, bytes, { flag: 'r+' });
  }
}
