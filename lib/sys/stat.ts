// SPDX-License-Identifier: MIT
/** statx(2) into a record that is used again. */
import type { ByteString } from '../base/bytes.js';
import { raw, result } from './libc.js';
import { pathArgument } from './names.js';

export const S_IFMT = 0o170000;
export const S_IFIFO = 0o010000;
export const S_IFCHR = 0o020000;
export const S_IFDIR = 0o040000;
export const S_IFBLK = 0o060000;
export const S_IFREG = 0o100000;
export const S_IFLNK = 0o120000;
export const S_IFSOCK = 0o140000;

const AT_SYMLINK_NOFOLLOW = 0x100;
const AT_EMPTY_PATH = 0x1000;
const STATX_BASIC_STATS = 0x7ff;
const STATX_BTIME = 0x800;
const STATX_MNT_ID = 0x1000;

const buffer = Buffer.allocUnsafeSlow(256);
const view = new DataView(buffer.buffer, buffer.byteOffset, 256);
const words = new Uint32Array(buffer.buffer, buffer.byteOffset, 64);
const emptyPath = Buffer.from([0]);

const TWO_32 = 2 ** 32;

/**
 * What statx(2) says of one file. Inode numbers are kept in two halves of 32
 * bits because file systems use all 64 (an overlay as a lower layer does).
 */
export class Stat {
  mode = 0;
  linkCount = 0;
  uid = 0;
  gid = 0;
  inodeLow = 0;
  inodeHigh = 0;
  size = 0;
  /** In units of 512 bytes. */
  blocks = 0;
  blockSize = 0;
  accessSeconds = 0;
  accessNanoseconds = 0;
  modifySeconds = 0;
  modifyNanoseconds = 0;
  changeSeconds = 0;
  changeNanoseconds = 0;
  birthSeconds = 0;
  birthNanoseconds = 0;
  hasBirth = false;
  /** Of the device that a device file stands for. */
  deviceMajor = 0;
  deviceMinor = 0;
  /** Of the file system that holds the file. */
  fsMajor = 0;
  fsMinor = 0;
  mountId = 0;

  get type(): number {
    return this.mode & S_IFMT;
  }

  get isDirectory(): boolean {
    return (this.mode & S_IFMT) === S_IFDIR;
  }

  get isRegular(): boolean {
    return (this.mode & S_IFMT) === S_IFREG;
  }

  get inode(): bigint {
    return (BigInt(this.inodeHigh) << 32n) | BigInt(this.inodeLow);
  }

  /** Device of the file system, as one number that compares. */
  get fileSystem(): number {
    return this.fsMajor * 2 ** 20 + this.fsMinor;
  }

  /** Copies every field, for a caller that keeps the record past the next call. */
  assign(other: Stat): this {
    return Object.assign(this, other);
  }
}

function readInto(out: Stat): void {
  // Offsets: struct statx in linux/stat.h.
  out.hasBirth = (words[0] & STATX_BTIME) !== 0;
  out.blockSize = words[1];
  out.linkCount = words[4];
  out.uid = words[5];
  out.gid = words[6];
  out.mode = words[7] & 0xffff;
  out.inodeLow = words[8];
  out.inodeHigh = words[9];
  out.size = words[10] + words[11] * TWO_32;
  out.blocks = words[12] + words[13] * TWO_32;
  out.accessSeconds = seconds(64);
  out.accessNanoseconds = words[18];
  out.birthSeconds = seconds(80);
  out.birthNanoseconds = words[22];
  out.changeSeconds = seconds(96);
  out.changeNanoseconds = words[26];
  out.modifySeconds = seconds(112);
  out.modifyNanoseconds = words[30];
  out.deviceMajor = words[32];
  out.deviceMinor = words[33];
  out.fsMajor = words[34];
  out.fsMinor = words[35];
  out.mountId = words[36];
}

function seconds(offset: number): number {
  return view.getInt32(offset + 4, true) * TWO_32 + view.getUint32(offset, true);
}

/** statx of `name` in `dir`, a symlink not followed. Answers 0 or a negated errno. */
export function statAt(dir: number, name: ByteString, out: Stat): number {
  const status = result(
    raw.statx(dir, pathArgument(name), AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS | STATX_BTIME, buffer),
  );
  if (status === 0) readInto(out);
  return status;
}

/** statx of an open descriptor (O_PATH too). Answers 0 or a negated errno. */
export function statFd(fd: number, out: Stat): number {
  const status = result(
    raw.statx(fd, emptyPath, AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_BTIME | STATX_MNT_ID, buffer),
  );
  if (status === 0) readInto(out);
  return status;
}

/** statx of a path as a user gave it, symlinks followed. */
export function statPath(path: ByteString, out: Stat): number {
  const status = result(
    raw.statx(-100, pathArgument(path), 0, STATX_BASIC_STATS | STATX_BTIME | STATX_MNT_ID, buffer),
  );
  if (status === 0) readInto(out);
  return status;
}
