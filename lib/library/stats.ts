// SPDX-License-Identifier: MIT
/** Attributes in the shape of node:fs's Stats, BigIntStats and StatFs. */
import { deviceNumber } from '../sys/entries.js';
import type { FileSystemSize } from '../sys/mounts.js';
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

/** What is at a path; of Stats and of Dirent. */
abstract class Typed {
  /** File type, as S_IF*. */
  protected abstract fileType(): number;

  isFile(): boolean {
    return this.fileType() === S_IFREG;
  }

  isDirectory(): boolean {
    return this.fileType() === S_IFDIR;
  }

  isSymbolicLink(): boolean {
    return this.fileType() === S_IFLNK;
  }

  isFIFO(): boolean {
    return this.fileType() === S_IFIFO;
  }

  isSocket(): boolean {
    return this.fileType() === S_IFSOCK;
  }

  isBlockDevice(): boolean {
    return this.fileType() === S_IFBLK;
  }

  isCharacterDevice(): boolean {
    return this.fileType() === S_IFCHR;
  }
}

function nanoseconds(seconds: number, fraction: number): bigint {
  return BigInt(seconds) * 1_000_000_000n + BigInt(fraction);
}

function milliseconds(seconds: number, fraction: number): number {
  return seconds * 1000 + fraction / 1e6;
}

/** What Stats and BigIntStats have in common, in one kind of number or the other. */
abstract class Attributes<Value extends number | bigint> extends Typed {
  readonly dev: Value;
  readonly mode: Value;
  readonly nlink: Value;
  readonly uid: Value;
  readonly gid: Value;
  readonly rdev: Value;
  /** In bytes. */
  readonly blksize: Value;
  readonly ino: Value;
  /** In bytes. */
  readonly size: Value;
  /** In units of 512 bytes. */
  readonly blocks: Value;

  protected constructor(stat: Stat, device: number, as: (integer: number | bigint) => Value) {
    super();
    this.dev = as(device);
    this.mode = as(stat.mode);
    this.nlink = as(stat.linkCount);
    this.uid = as(stat.uid);
    this.gid = as(stat.gid);
    this.rdev = as(deviceNumber(stat.deviceMajor, stat.deviceMinor));
    this.blksize = as(stat.blockSize);
    this.ino = as(stat.inode);
    this.size = as(stat.size);
    this.blocks = as(stat.blocks);
  }

  protected override fileType(): number {
    return Number(this.mode) & S_IFMT;
  }
}

/** Inode numbers use all 64 bits, so two files may have one `ino` as a number; `bigint: true` has them whole. */
export class OverlayStats extends Attributes<number> {
  readonly atimeMs: number;
  readonly mtimeMs: number;
  readonly ctimeMs: number;
  readonly birthtimeMs: number;
  readonly atime: Date;
  readonly mtime: Date;
  readonly ctime: Date;
  readonly birthtime: Date;

  constructor(stat: Stat, device: number) {
    super(stat, device, Number);
    this.atimeMs = milliseconds(stat.accessSeconds, stat.accessNanoseconds);
    this.mtimeMs = milliseconds(stat.modifySeconds, stat.modifyNanoseconds);
    this.ctimeMs = milliseconds(stat.changeSeconds, stat.changeNanoseconds);
    this.birthtimeMs = milliseconds(stat.birthSeconds, stat.birthNanoseconds);
    this.atime = new Date(Math.round(this.atimeMs));
    this.mtime = new Date(Math.round(this.mtimeMs));
    this.ctime = new Date(Math.round(this.ctimeMs));
    this.birthtime = new Date(Math.round(this.birthtimeMs));
  }
}

export class OverlayBigIntStats extends Attributes<bigint> {
  readonly atimeMs: bigint;
  readonly mtimeMs: bigint;
  readonly ctimeMs: bigint;
  readonly birthtimeMs: bigint;
  readonly atimeNs: bigint;
  readonly mtimeNs: bigint;
  readonly ctimeNs: bigint;
  readonly birthtimeNs: bigint;
  readonly atime: Date;
  readonly mtime: Date;
  readonly ctime: Date;
  readonly birthtime: Date;

  constructor(stat: Stat, device: number) {
    super(stat, device, BigInt);
    this.atimeNs = nanoseconds(stat.accessSeconds, stat.accessNanoseconds);
    this.mtimeNs = nanoseconds(stat.modifySeconds, stat.modifyNanoseconds);
    this.ctimeNs = nanoseconds(stat.changeSeconds, stat.changeNanoseconds);
    this.birthtimeNs = nanoseconds(stat.birthSeconds, stat.birthNanoseconds);
    this.atimeMs = this.atimeNs / 1_000_000n;
    this.mtimeMs = this.mtimeNs / 1_000_000n;
    this.ctimeMs = this.ctimeNs / 1_000_000n;
    this.birthtimeMs = this.birthtimeNs / 1_000_000n;
    this.atime = new Date(Number(this.atimeMs));
    this.mtime = new Date(Number(this.mtimeMs));
    this.ctime = new Date(Number(this.ctimeMs));
    this.birthtime = new Date(Number(this.birthtimeMs));
  }
}

/** One entry of a directory, as `readdir` gives it with `withFileTypes`. */
export class OverlayDirent<Name extends string | Buffer = string> extends Typed {
  readonly #type: number;

  constructor(
    readonly name: Name,
    readonly parentPath: string,
    type: number,
  ) {
    super();
    this.#type = type;
  }

  /** As Node 20 calls it, too. */
  get path(): string {
    return this.parentPath;
  }

  protected override fileType(): number {
    return this.#type;
  }
}

/** What node:fs calls StatFs. `type` is that of the file system which takes the writes. */
export function statFsOf(size: FileSystemSize, type: number, bigint: boolean): object {
  const fields = {
    type,
    bsize: size.blockSize,
    blocks: size.blocks,
    bfree: size.freeBlocks,
    bavail: size.availableBlocks,
    files: size.files,
    ffree: size.freeFiles,
  };
  if (!bigint) return fields;
  return Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, BigInt(value)]));
}
