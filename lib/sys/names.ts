// SPDX-License-Identifier: MIT
/**
 * Names on their way to the kernel: NUL-terminated bytes in two buffers that
 * are used again and again (two, because rename and link take two names). A
 * name is encoded right before its system call and never kept.
 */
import type { ByteString } from '../base/bytes.js';

/** The longest path that a system call takes, its NUL included (limits.h). */
export const PATH_MAX = 4096;
export const NAME_MAX = 255;

const first = Buffer.allocUnsafeSlow(2 * PATH_MAX);
const second = Buffer.allocUnsafeSlow(2 * PATH_MAX);

function encodeInto(buffer: Buffer, name: ByteString): Buffer {
  // One byte past PATH_MAX is kept, so that the kernel answers ENAMETOOLONG itself.
  const end = buffer.latin1Write(name, 0, PATH_MAX);
  buffer[end] = 0;
  return buffer;
}

/** The name as a NUL-terminated path; valid until the next call. */
export function pathArgument(name: ByteString): Buffer {
  return encodeInto(first, name);
}

/** The same in a buffer of its own, for the second path of a system call. */
export function secondPathArgument(name: ByteString): Buffer {
  return encodeInto(second, name);
}

/** A NUL-terminated copy that stays valid, for calls off the hot path. */
export function ownedArgument(name: ByteString): Buffer {
  return Buffer.from(`${name}\0`, 'latin1');
}
