// SPDX-License-Identifier: MIT
/** Names in a directory: made, linked, moved, removed, listed. All answer >= 0 or a negated errno. */
import type { ByteString } from '../base/bytes.js';
import { ENOSYS } from '../base/errno.js';
import { raw, result } from './libc.js';
import { pathArgument, secondPathArgument } from './names.js';

export const RENAME_NOREPLACE = 1;
export const RENAME_EXCHANGE = 2;
export const RENAME_WHITEOUT = 4;

export const DT_UNKNOWN = 0;
export const DT_CHR = 2;
export const DT_DIR = 4;

const AT_REMOVEDIR = 0x200;
const AT_SYMLINK_NOFOLLOW = 0x100;

export function makeDirectory(dir: number, name: ByteString, mode: number): number {
  return result(raw.mkdirat(dir, pathArgument(name), mode));
}

/** makedev(3) for the numbers in use: 12 bits major, 20 bits minor. */
export function deviceNumber(major: number, minor: number): number {
  return (minor & 0xff) + (major & 0xfff) * 2 ** 8 + Math.floor(minor / 2 ** 8) * 2 ** 20;
}

/** The other way round. */
export function splitDevice(device: number): { major: number; minor: number } {
  const minor = (device & 0xff) + Math.floor(device / 2 ** 20) * 2 ** 8;
  return { major: Math.floor(device / 2 ** 8) & 0xfff, minor };
}

/** `device` as deviceNumber composes it. */
export function makeNode(dir: number, name: ByteString, mode: number, device: number): number {
  return result(raw.mknodat(dir, pathArgument(name), mode, device));
}

export function makeSymlink(dir: number, name: ByteString, target: ByteString): number {
  return result(raw.symlinkat(secondPathArgument(target), dir, pathArgument(name)));
}

/** A further name for the file itself; a symlink is linked, not followed. */
export function makeLink(fromDir: number, from: ByteString, toDir: number, to: ByteString): number {
  return result(raw.linkat(fromDir, pathArgument(from), toDir, secondPathArgument(to), 0));
}

export function rename(fromDir: number, from: ByteString, toDir: number, to: ByteString, flags = 0): number {
  return result(raw.renameat2(fromDir, pathArgument(from), toDir, secondPathArgument(to), flags));
}

export function unlink(dir: number, name: ByteString): number {
  return result(raw.unlinkat(dir, pathArgument(name), 0));
}

export function removeDirectory(dir: number, name: ByteString): number {
  return result(raw.unlinkat(dir, pathArgument(name), AT_REMOVEDIR));
}

const linkTarget = Buffer.allocUnsafeSlow(4096);

/** A symlink's target, or a negated errno. */
export function readLink(dir: number, name: ByteString): ByteString | number {
  const size = result(raw.readlinkat(dir, pathArgument(name), linkTarget, linkTarget.length));
  return size < 0 ? size : linkTarget.latin1Slice(0, size);
}

/** Owner and group; 0xffffffff leaves one as it is. Symlinks are not followed. */
export function changeOwner(dir: number, name: ByteString, uid: number, gid: number): number {
  return result(raw.fchownat(dir, pathArgument(name), uid, gid, AT_SYMLINK_NOFOLLOW));
}

const SYS_FCHMODAT2 = 452;
let hasFchmodat2 = true;

/**
 * Mode of a file that is no symlink. fchmodat(2) of libc follows a symlink put in
 * the name's place; fchmodat2(2) does not, but came with Linux 6.6. Before it
 * /proc gives a path that starts at the directory.
 */
export function changeMode(dir: number, name: ByteString, mode: number): number {
  if (hasFchmodat2) {
    const status = result(raw.syscall5(SYS_FCHMODAT2, dir, pathArgument(name), mode, AT_SYMLINK_NOFOLLOW, 0));
    if (status !== -ENOSYS) return status;
    hasFchmodat2 = false;
  }
  return result(raw.chmod(pathArgument(`/proc/self/fd/${dir}/${name}`), mode));
}

/** Mode of what a descriptor (O_PATH too) stands for, which is no symlink. */
export function changeModeOf(fd: number, mode: number): number {
  return result(raw.chmod(pathArgument(`/proc/self/fd/${fd}`), mode));
}

export const UTIME_NOW = 0x3fffffff;
export const UTIME_OMIT = 0x3ffffffe;

const times = new DataView(new ArrayBuffer(32));
const timesBytes = new Uint8Array(times.buffer);

export interface Times {
  accessSeconds: number;
  /** Nanoseconds, or UTIME_NOW or UTIME_OMIT. */
  accessNanoseconds: number;
  modifySeconds: number;
  modifyNanoseconds: number;
}

export function changeTimes(dir: number, name: ByteString, to: Times): number {
  putSeconds(0, to.accessSeconds);
  times.setUint32(8, to.accessNanoseconds, true);
  putSeconds(16, to.modifySeconds);
  times.setUint32(24, to.modifyNanoseconds, true);
  return result(raw.utimensat(dir, pathArgument(name), timesBytes, AT_SYMLINK_NOFOLLOW));
}

function putSeconds(offset: number, seconds: number): void {
  times.setUint32(offset, seconds % 2 ** 32, true);
  times.setInt32(offset + 4, Math.floor(seconds / 2 ** 32), true);
}

const direntBuffer = Buffer.allocUnsafeSlow(64 * 1024);
const direntView = new DataView(direntBuffer.buffer, direntBuffer.byteOffset, direntBuffer.length);

/** Called for each entry; answering false ends the listing. `.` and `..` are left out. */
export type EntryVisitor = (name: ByteString, type: number, inodeLow: number, inodeHigh: number) => boolean;

/** Lists an open directory from where it stands. Answers 0 or a negated errno. */
export function listDirectory(fd: number, visit: EntryVisitor): number {
  for (;;) {
    const size = result(raw.getdents(fd, direntBuffer, direntBuffer.length));
    if (size <= 0) return size;
    if (!visitEntries(size, visit)) return 0;
  }
}

/** The entries of one getdents64(2) buffer: ino u64, off u64, reclen u16, type u8, name. */
function visitEntries(size: number, visit: EntryVisitor): boolean {
  for (let at = 0; at < size; ) {
    const start = at + 19;
    const name = direntBuffer.latin1Slice(start, direntBuffer.indexOf(0, start));
    const length = direntView.getUint16(at + 16, true);
    if (name !== '.' && name !== '..') {
      const low = direntView.getUint32(at, true);
      if (!visit(name, direntBuffer[at + 18], low, direntView.getUint32(at + 4, true))) return false;
    }
    at += length;
  }
  return true;
}
