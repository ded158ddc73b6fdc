// SPDX-License-Identifier: MIT
/**
 * Extended attributes of a name in a directory. The calls that take a directory
 * descriptor came with Linux 6.13; `/proc/self/fd/DIR/NAME` with the l-calls is
 * the same on every kernel: one component below an open directory, a symlink
 * in its place not followed. All answer >= 0 or a negated errno.
 */
import type { ByteString } from '../base/bytes.js';
import { ERANGE } from '../base/errno.js';
import { raw, result } from './libc.js';
import { pathArgument, secondPathArgument } from './names.js';

/** The largest value and the largest list of names (linux/limits.h). */
export const XATTR_SIZE_MAX = 65536;
export const XATTR_CREATE = 1;
export const XATTR_REPLACE = 2;

const scratch = Buffer.allocUnsafeSlow(XATTR_SIZE_MAX);

function pathOf(dir: number, name: ByteString): Buffer {
  return pathArgument(`/proc/self/fd/${dir}/${name}`);
}

/** The value, in memory of its own, or a negated errno. */
export function getXattr(dir: number, name: ByteString, attribute: ByteString): Buffer | number {
  const size = result(
    raw.lgetxattr(pathOf(dir, name), secondPathArgument(attribute), scratch, scratch.length),
  );
  return size < 0 ? size : Buffer.from(scratch.subarray(0, size));
}

/** Whether a value is there and is just this one character: how overlayfs marks are read. */
export function xattrIs(dir: number, name: ByteString, attribute: ByteString, character: string): boolean {
  const size = result(
    raw.lgetxattr(pathOf(dir, name), secondPathArgument(attribute), scratch, scratch.length),
  );
  return size === 1 && scratch[0] === character.charCodeAt(0);
}

export function setXattr(
  dir: number,
  name: ByteString,
  attribute: ByteString,
  value: Uint8Array,
  flags = 0,
): number {
  return result(
    raw.lsetxattr(pathOf(dir, name), secondPathArgument(attribute), value, value.length, flags),
  );
}

export function removeXattr(dir: number, name: ByteString, attribute: ByteString): number {
  return result(raw.lremovexattr(pathOf(dir, name), secondPathArgument(attribute)));
}

/** The names of all attributes, or a negated errno. */
export function listXattrs(dir: number, name: ByteString): ByteString[] | number {
  const size = result(raw.llistxattr(pathOf(dir, name), scratch, scratch.length));
  if (size === -ERANGE || size < 0) return size;
  return size === 0 ? [] : scratch.latin1Slice(0, size - 1).split('\0');
}
