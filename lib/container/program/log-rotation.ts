// SPDX-License-Identifier: MIT
/**
 * The files of a log: `log` is written, `log.1` is the one before it, and so on, as Docker names them. What a program
 * prints must not fill the disk, so a log has at most so many files of such a size, and leaves free a part of the file
 * system that the store is in.
 */

import {
  closeSync,
  existsSync,
  fstatSync,
  openSync,
  renameSync,
  rmSync,
  type Stats,
  statfsSync,
} from 'node:fs';
import { dirname } from 'node:path';
import type { LogLimits } from '../state/config.js';

/** 100 MB in all, as with Docker's `local` driver. */
export const USUAL_LIMITS: LogLimits = { maxSize: 20e6, maxFiles: 5 };
/** What is left free: a fiftieth of the file system, of a large one 512 MiB. */
const RESERVE_PART = 1 / 50;
const LARGEST_RESERVE = 512 << 20;

function partOf(path: string, index: number): string {
  return index === 0 ? path : `${path}.${index}`;
}

/**
 * Gives the file that is written the name of the one before it, and so on. Only names up to the first free one move: when
 * a server is killed in the middle of this, the next one goes on where it was, and no file is lost over it.
 */
export function shiftLog(path: string, { maxFiles }: LogLimits): void {
  if (!existsSync(path)) return;
  if (maxFiles === 1) {
    rmSync(path);
    return;
  }
  let free = 1;
  while (free < maxFiles - 1 && existsSync(partOf(path, free))) free++;
  for (let index = free; index > 0; index--) renameSync(partOf(path, index - 1), partOf(path, index));
}

/** Why `length` more bytes are not to be written to a log in `path`; undefined where there is room. */
export function lackOfSpace(path: string, length: number, { reserve }: LogLimits): string | undefined {
  if (reserve === 0) return undefined;
  const directory = dirname(path);
  const { bavail, blocks, bsize } = statfsSync(directory);
  // Some file systems do not say how large they are.
  const wanted = reserve ?? Math.min(blocks * bsize * RESERVE_PART, LARGEST_RESERVE);
  const free = bavail * bsize;
  if (free - length >= wanted) return undefined;
  return `its log leaves ${inMebibytes(wanted)} of the store's file system free, and ${inMebibytes(free)} are`;
}

function inMebibytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}

export interface OpenedLog {
  fd: number;
  stat: Stats;
}

function tryOpen(path: string): OpenedLog | undefined {
  try {
    const fd = openSync(path, 'r');
    return { fd, stat: fstatSync(fd) };
  } catch (failure) {
    // Between two steps of a rotation, or gone with its container.
    if ((failure as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw failure;
  }
}

function isSame(one: OpenedLog, other: OpenedLog): boolean {
  return one.stat.ino === other.stat.ino && one.stat.dev === other.stat.dev;
}

/**
 * Opens the file that was written after `present`, or the oldest one; undefined where there is none. Files only ever
 * move to older names, so looking from the newest name on misses none, also while they move.
 */
export function openNext(path: string, { maxFiles }: LogLimits, present?: OpenedLog): OpenedLog | undefined {
  let next: OpenedLog | undefined;
  for (let index = 0; index < maxFiles; index++) {
    const found = tryOpen(partOf(path, index));
    if (found === undefined) continue;
    if (present !== undefined && isSame(found, present)) {
      closeSync(found.fd);
      break;
    }
    if (next !== undefined) closeSync(next.fd);
    next = found;
  }
  return next;
}
