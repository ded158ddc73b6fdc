// SPDX-License-Identifier: MIT
/** Descriptors and what is done with an open file. All answer a value >= 0 or a negated errno. */
import type { ByteString } from '../base/bytes.js';
import { EAGAIN, EINTR } from '../base/errno.js';
import { type Pointer, raw, result } from './libc.js';
import { ownedArgument, pathArgument } from './names.js';

export const AT_FDCWD = -100;
export const O_RDONLY = 0;
export const O_WRONLY = 1;
export const O_RDWR = 2;
export const O_CREAT = 0o100;
export const O_EXCL = 0o200;
export const O_APPEND = 0o2000;
export const O_NONBLOCK = 0o4000;
export const O_DIRECTORY = process.arch === 'arm64' ? 0o40000 : 0o200000;
export const O_NOFOLLOW = process.arch === 'arm64' ? 0o100000 : 0o400000;
export const O_NOATIME = 0o1000000;
export const O_CLOEXEC = 0o2000000;
export const O_PATH = 0o10000000;
export const O_TMPFILE = 0o20000000 | O_DIRECTORY;
export const SEEK_DATA = 3;
export const SEEK_HOLE = 4;
export const LOCK_SHARED = 1;
export const LOCK_EXCLUSIVE = 2;
export const LOCK_NONBLOCKING = 4;

const RESOLVE_NO_MAGICLINKS = 0x02;
const RESOLVE_NO_SYMLINKS = 0x04;
const RESOLVE_BENEATH = 0x08;
const RESOLVE_IN_ROOT = 0x10;
/** A `..` is looked up again where anything was mounted or moved meanwhile, anywhere (openat2(2), EAGAIN). */
const RESOLVE_TRIES = 1000;
const SYS_OPENAT2 = 437;
const SIZEOF_OPEN_HOW = 24;

/** openat of one component: a symlink in its place is an error, the descriptor closes on exec. */
export function openAt(dir: number, name: ByteString, flags: number, mode = 0): number {
  return result(raw.openat(dir, pathArgument(name), flags | O_NOFOLLOW | O_CLOEXEC, mode));
}

/** open of a path as a user gave it: symlinks are followed. */
export function openPath(path: ByteString, flags: number, mode = 0): number {
  return result(raw.openat(AT_FDCWD, pathArgument(path), flags | O_CLOEXEC, mode));
}

/**
 * openat2(2) of a path of several components that may neither leave `dir` nor
 * pass through a symlink (RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS).
 */
export function openBeneath(dir: number, path: ByteString, flags: number): number {
  return openResolved(dir, path, flags, 0, RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH);
}

/** openat2(2) of a path as a program sees it whose root is `dir`: symlinks lead to places below it (RESOLVE_IN_ROOT). */
export function openInRoot(dir: number, path: ByteString, flags: number, mode = 0): number {
  return openResolved(dir, path, flags, mode, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
}

function openResolved(dir: number, path: ByteString, flags: number, mode: number, resolve: number): number {
  const how = Buffer.alloc(SIZEOF_OPEN_HOW);
  how.writeUInt32LE(flags | O_CLOEXEC, 0);
  how.writeUInt32LE(mode, 8);
  how.writeUInt32LE(resolve, 16);
  const name = ownedArgument(path);
  let status = -EAGAIN;
  for (let tries = 0; status === -EAGAIN && tries < RESOLVE_TRIES; tries++) {
    status = result(raw.syscall4(SYS_OPENAT2, dir, name, how, SIZEOF_OPEN_HOW));
  }
  return status;
}

/** Opens again what an O_PATH descriptor stands for, in a mode that can read or write. */
export function reopen(fd: number, flags: number): number {
  return result(raw.openat(AT_FDCWD, pathArgument(`/proc/self/fd/${fd}`), flags | O_CLOEXEC, 0));
}

export function close(fd: number): number {
  return result(raw.close(fd));
}

export function read(fd: number, buffer: Pointer, size: number): number {
  return result(raw.read(fd, buffer, size));
}

export function write(fd: number, buffer: Pointer, size: number): number {
  return result(raw.write(fd, buffer, size));
}

/** Reads until `size` bytes are there or the file ends; answers the bytes read. */
export function readFully(fd: number, buffer: Uint8Array, size: number, offset: number): number {
  let done = 0;
  while (done < size) {
    const target = done === 0 ? buffer : buffer.subarray(done);
    const count = result(raw.pread(fd, target, size - done, offset + done));
    if (count === -EINTR) continue;
    if (count < 0) return done > 0 ? done : count;
    if (count === 0) break;
    done += count;
  }
  return done;
}

/** Writes all of `size` bytes or answers what went in before the error, or the error. */
export function writeFully(fd: number, buffer: Uint8Array, size: number, offset: number): number {
  let done = 0;
  while (done < size) {
    const source = done === 0 ? buffer : buffer.subarray(done);
    const count = result(raw.pwrite(fd, source, size - done, offset + done));
    if (count === -EINTR) continue;
    if (count < 0) return done > 0 ? done : count;
    done += count;
  }
  return done;
}

export function truncate(fd: number, size: number): number {
  return result(raw.ftruncate(fd, size));
}

export function allocate(fd: number, mode: number, offset: number, size: number): number {
  return result(raw.fallocate(fd, mode, offset, size));
}

export function seek(fd: number, offset: number, whence: number): number {
  return result(raw.lseek(fd, offset, whence));
}

const offsets = new BigInt64Array(2);
const fromOffset = new Uint8Array(offsets.buffer, 0, 8);
const toOffset = new Uint8Array(offsets.buffer, 8, 8);

/** copy_file_range(2) between two positions; answers the bytes copied, which may be fewer. */
export function copyRange(from: number, fromAt: number, to: number, toAt: number, size: number): number {
  offsets[0] = BigInt(fromAt);
  offsets[1] = BigInt(toAt);
  return result(raw.copyFileRange(from, fromOffset, to, toOffset, size, 0));
}

const FICLONE = 0x40049409;

/** Makes `to` share all of `from`'s data (FICLONE): -EOPNOTSUPP or -EXDEV where it cannot be shared. */
export function cloneData(from: number, to: number): number {
  return result(raw.ioctlFd(to, FICLONE, from));
}

export function syncData(fd: number): number {
  return result(raw.fdatasync(fd));
}

export function syncFile(fd: number): number {
  return result(raw.fsync(fd));
}

export function syncFileSystem(fd: number): number {
  return result(raw.syncfs(fd));
}

export function lock(fd: number, operation: number): number {
  return result(raw.flock(fd, operation));
}

export function control(fd: number, request: number, argument: Pointer): number {
  return result(raw.ioctl(fd, request, argument));
}

/** A descriptor with an owner, for code off the hot path: closed once, at the end of its scope. */
export class Fd implements Disposable {
  #number: number;

  constructor(fd: number) {
    this.#number = fd;
  }

  get number(): number {
    return this.#number;
  }

  close(): void {
    if (this.#number < 0) return;
    const fd = this.#number;
    this.#number = -1;
    close(fd);
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
