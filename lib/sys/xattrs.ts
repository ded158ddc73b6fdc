// SPDX-License-Identifier: MIT
/**
 * Extended attributes of a name in a directory; a symlink in its place is not
 * followed. Linux 6.13 has calls that take a directory descriptor (getxattrat(2));
 * before it `/proc/self/fd/DIR/NAME` with the l-calls is the same, at three times
 * the cost. All answer >= 0 or a negated errno.
 */
import type { ByteString } from '../base/bytes.js';
import { ENOSYS } from '../base/errno.js';
import { addressOf, type Pointer, raw, result } from './libc.js';
import { pathArgument, secondPathArgument } from './names.js';

/** The largest value and the largest list of names (linux/limits.h). */
export const XATTR_SIZE_MAX = 65536;
export const XATTR_CREATE = 1;
export const XATTR_REPLACE = 2;

const SYS_SETXATTRAT = 463;
const SYS_GETXATTRAT = 464;
const SYS_LISTXATTRAT = 465;
const SYS_REMOVEXATTRAT = 466;
const AT_SYMLINK_NOFOLLOW = 0x100;
const SIZEOF_XATTR_ARGS = 16;

const scratch = Buffer.allocUnsafeSlow(XATTR_SIZE_MAX);
/** struct xattr_args { u64 value; u32 size; u32 flags } for reading into `scratch`. */
const readArguments = Buffer.alloc(SIZEOF_XATTR_ARGS);
readArguments.writeBigUInt64LE(addressOf(scratch), 0);
readArguments.writeUInt32LE(XATTR_SIZE_MAX, 8);
const writeArguments = Buffer.alloc(SIZEOF_XATTR_ARGS);

/** Whether the kernel has the calls that take a directory; found out by the first one. */
let hasAtCalls = true;

function throughProc(dir: number, name: ByteString): Buffer {
  return pathArgument(`/proc/self/fd/${dir}/${name}`);
}

/** Runs the call that takes a directory, or the other one where the kernel lacks it. */
function either(modern: () => number, old: () => number): number {
  if (hasAtCalls) {
    const status = result(modern());
    if (status !== -ENOSYS) return status;
    hasAtCalls = false;
  }
  return result(old());
}

/** Reads a value into `scratch`; answers its size. */
function readValue(dir: number, name: ByteString, attribute: ByteString): number {
  const key = secondPathArgument(attribute);
  return either(
    () =>
      raw.syscall6(
        SYS_GETXATTRAT,
        dir,
        pathArgument(name),
        AT_SYMLINK_NOFOLLOW,
        key,
        readArguments,
        SIZEOF_XATTR_ARGS,
      ),
    () => raw.lgetxattr(throughProc(dir, name), key, scratch, scratch.length),
  );
}

/** The value, in memory of its own, or a negated errno. */
export function getXattr(dir: number, name: ByteString, attribute: ByteString): Buffer | number {
  const size = readValue(dir, name, attribute);
  return size < 0 ? size : Buffer.from(scratch.subarray(0, size));
}

/** Whether a value is there and is just this one character: how overlayfs marks are read. */
export function xattrIs(dir: number, name: ByteString, attribute: ByteString, character: string): boolean {
  return readValue(dir, name, attribute) === 1 && scratch[0] === character.charCodeAt(0);
}

export function setXattr(
  dir: number,
  name: ByteString,
  attribute: ByteString,
  value: Uint8Array,
  flags = 0,
): number {
  const key = secondPathArgument(attribute);
  writeArguments.writeBigUInt64LE(value.length === 0 ? 0n : addressOf(value), 0);
  writeArguments.writeUInt32LE(value.length, 8);
  writeArguments.writeUInt32LE(flags, 12);
  const empty: Pointer = value.length === 0 ? null : value;
  return either(
    () =>
      raw.syscall6(
        SYS_SETXATTRAT,
        dir,
        pathArgument(name),
        AT_SYMLINK_NOFOLLOW,
        key,
        writeArguments,
        SIZEOF_XATTR_ARGS,
      ),
    () => raw.lsetxattr(throughProc(dir, name), key, empty, value.length, flags),
  );
}

export function removeXattr(dir: number, name: ByteString, attribute: ByteString): number {
  const key = secondPathArgument(attribute);
  return either(
    () => raw.syscall6(SYS_REMOVEXATTRAT, dir, pathArgument(name), AT_SYMLINK_NOFOLLOW, key, null, 0),
    () => raw.lremovexattr(throughProc(dir, name), key),
  );
}

/** The names of all attributes, or a negated errno. */
export function listXattrs(dir: number, name: ByteString): ByteString[] | number {
  const size = either(
    () =>
      raw.syscall6(SYS_LISTXATTRAT, dir, pathArgument(name), AT_SYMLINK_NOFOLLOW, scratch, scratch.length, 0),
    () => raw.llistxattr(throughProc(dir, name), scratch, scratch.length),
  );
  if (size < 0) return size;
  return size === 0 ? [] : scratch.latin1Slice(0, size - 1).split('\0');
}
