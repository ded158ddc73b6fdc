// SPDX-License-Identifier: MIT
/**
 * Memory that outlives the process that writes it: a file without a name
 * (memfd_create(2)) that others inherit and map. What was stored is there whatever
 * becomes of the process, because the pages are the file's and not its own.
 */
import { fromText } from '../base/bytes.js';
import type { Errno } from '../base/errno.js';
import { raw, result, viewMemory } from './libc.js';
import { ownedArgument } from './names.js';

const SYS_MEMFD_CREATE = process.arch === 'arm64' ? 279 : 319;
const MFD_CLOEXEC = 1;
const PROT_READ_WRITE = 3;
const MAP_SHARED = 1;
const MAP_FAILED = -1n;
const PUNCH_HOLE_KEEP_SIZE = 3;

/** Makes such a file of `size` bytes, all of them holes. Answers its descriptor or a negated errno. */
export function createSharedMemory(name: string, size: number): number {
  const fd = result(raw.syscall2(SYS_MEMFD_CREATE, ownedArgument(fromText(name)), MFD_CLOEXEC));
  if (fd < 0) return fd;
  const status = result(raw.ftruncate(fd, size));
  if (status >= 0) return fd;
  raw.close(fd);
  return status;
}

/** A part of the file, mapped. Nobody may use `bytes` after `unmap`. */
export interface SharedWindow {
  readonly bytes: Buffer;
  unmap(): void;
}

/** Maps a part; `offset` and `length` are multiples of the page size. Answers a negated errno where it cannot be had. */
export function mapShared(fd: number, offset: number, length: number): SharedWindow | Errno {
  const address = raw.mmap(0, length, PROT_READ_WRITE, MAP_SHARED, fd, offset) as unknown as bigint;
  if (BigInt.asIntN(64, address) === MAP_FAILED) return result(-1);
  const bytes = Buffer.from(viewMemory(address, length));
  return { bytes, unmap: () => void raw.munmap(address, length) };
}

/** Gives the memory of a part back. */
export function forgetShared(fd: number, offset: number, length: number): Errno {
  return result(raw.fallocate(fd, PUNCH_HOLE_KEEP_SIZE, offset, length));
}
