// SPDX-License-Identifier: MIT
/** Attributes in the shape of `node:fs` Stats. */
import {
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFIFO,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
  S_IFSOCK,
  type Stat,
} from '../sys/stat.js';

export class OverlayStats {
  readonly mode: number;
  readonly nlink: number;
  readonly uid: number;
  readonly gid: number;
  /** Stable across copy-up and reopening; uses all 64 bits. */
  readonly ino: bigint;
  /** In bytes. */
  readonly size: number;
  /** In units of 512 bytes. */
  readonly blocks: number;
  readonly atimeNs: bigint;
  readonly mtimeNs: bigint;
  readonly ctimeNs: bigint;

  constructor(stat: Stat) {
    this.mode = stat.mode;
    this.nlink = stat.linkCount;
    this.uid = stat.uid;
    this.gid = stat.gid;
    this.ino = stat.inode;
    this.size = stat.size;
    this.blocks = stat.blocks;
    this.atimeNs = nanoseconds(stat.accessSeconds, stat.accessNanoseconds);
    this.mtimeNs = nanoseconds(stat.modifySeconds, stat.modifyNanoseconds);
    this.ctimeNs = nanoseconds(stat.changeSeconds, stat.changeNanoseconds);
  }

  get atime(): Date {
    return new Date(Number(this.atimeNs / 1_000_000n));
  }

  get mtime(): Date {
    return new Date(Number(this.mtimeNs / 1_000_000n));
  }

  get ctime(): Date {
    return new Date(Number(this.ctimeNs / 1_000_000n));
  }

  isFile(): boolean {
    return (this.mode & S_IFMT) === S_IFREG;
  }

  isDirectory(): boolean {
    return (this.mode & S_IFMT) === S_IFDIR;
  }

  isSymbolicLink(): boolean {
    return (this.mode & S_IFMT) === S_IFLNK;
  }

  isFIFO(): boolean {
    return (this.mode & S_IFMT) === S_IFIFO;
  }

  isSocket(): boolean {
    return (this.mode & S_IFMT) === S_IFSOCK;
  }

  isBlockDevice(): boolean {
    return (this.mode & S_IFMT) === S_IFBLK;
  }

  isCharacterDevice(): boolean {
    return (this.mode & S_IFMT) === S_IFCHR;
  }
}

function nanoseconds(seconds: number, fraction: number): bigint {
  return BigInt(seconds) * 1_000_000_000n + BigInt(fraction);
}
