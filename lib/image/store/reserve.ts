// SPDX-License-Identifier: MIT
/**
 * Space that a store keeps for removal. On a file system that is full to the last block and the last
 * inode, who takes an image away still has to write the shorter list of those that stay. Files in
 * `reserve/` hold blocks and inodes for that; they go when a removal finds no space, and are made
 * again, by the next command that opens the store, when there is some.
 */
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fromText } from '../../base/bytes.js';
import { imageDebug } from '../../base/debug.js';
import { check } from '../../base/errors.js';
import { allocate, Fd, O_CREAT, O_RDWR, openPath } from '../../sys/files.js';

/** A directory and a file are needed (staging.ts), twice where two commands do it at once. */
const FILES = 4;
/** Bytes; the list takes 300 an image. */
const FILE_SIZE = 256 << 10;

interface Rooted {
  readonly root: string;
}

/** Makes the reserve where there is none; without space there is none. */
export function fillReserve({ root }: Rooted): void {
  const directory = join(root, 'reserve');
  if (existsSync(directory)) return;
  try {
    mkdirSync(directory, { mode: 0o700 });
    for (let number = 0; number < FILES; number++) reserveFile(join(directory, String(number)));
  } catch (failure) {
    imageDebug('no space is kept for removals: %s', (failure as Error).message);
    rmSync(directory, { recursive: true, force: true });
  }
}

function reserveFile(path: string): void {
  const story = { operation: 'keep space', path };
  using fd = new Fd(check(openPath(fromText(path), O_RDWR | O_CREAT, 0o600), story));
  check(allocate(fd.number, 0, 0, FILE_SIZE), story);
}

/** Gives the reserve back to the file system; answers whether there was any. */
export function spendReserve({ root }: Rooted): boolean {
  const directory = join(root, 'reserve');
  if (!existsSync(directory)) return false;
  rmSync(directory, { recursive: true, force: true });
  return true;
}
