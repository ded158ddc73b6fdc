// SPDX-License-Identifier: MIT
/**
 * Moving bytes inside the kernel (splice(2)). One of the two is a pipe. Where the other is a file,
 * its position moves in the same call as the bytes do, so that every process that shares the open file knows how
 * many were moved, also when the process that moved them was killed in the middle.
 */
import { raw, result } from './libc.js';

const SPLICE_F_NONBLOCK = 2;
const SEEK_SET = 0;
const SEEK_CUR = 1;
const FIONREAD = 0x541b;

/** Answers how many bytes were moved, 0 at the end of `from`, -EAGAIN where nothing can be moved now, or another errno. */
export function moveBytes(from: number, to: number, length: number): number {
  return result(raw.splice(from, null, to, null, length, SPLICE_F_NONBLOCK));
}

/** The position of an open file, or a negated errno. */
export function positionOf(fd: number): number {
  return result(raw.lseek(fd, 0, SEEK_CUR));
}

/** Puts an open file at a position; answers it or a negated errno. */
export function setPosition(fd: number, position: number): number {
  return result(raw.lseek(fd, position, SEEK_SET));
}

/** How many bytes are in a pipe. */
export function bytesIn(pipe: number): number {
  const count = Buffer.alloc(4);
  raw.ioctl(pipe, FIONREAD, count);
  return count.readInt32LE(0);
}
