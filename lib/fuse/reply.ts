// SPDX-License-Identifier: MIT
/**
 * The one reply under construction: header and body in a buffer that is used
 * again for every request. Writers answer how many bytes of body they made.
 *
 *   fuse_out_header: u32 len, i32 error, u64 unique
 */
import type { ByteString } from '../base/bytes.js';
import type { FileSystemSize } from '../sys/mounts.js';
import type { Stat } from '../sys/stat.js';
import { ATTR_OUT, DIRENT, ENTRY_OUT, OUT_HEADER, STATFS_OUT, STATX_OUT } from './abi.js';

const TWO_32 = 2 ** 32;
/** Seconds an answer stays valid by default: only this server changes anything, so as long as the kernel takes. */
const FOREVER = 0x7fffffff;

/** What LOOKUP and the creating requests answer. */
export interface EntryOut {
  nodeId: number;
  stat: Stat;
}

export class Reply {
  readonly view: DataView;

  readonly #validSeconds: number;
  readonly #validNanoseconds: number;

  /**
   * `timeout`: seconds that names and attributes stay valid. `generation`: goes into
   * file handles beside the node id, so that one of an earlier mount is not taken
   * for one of this; within a mount an id is never used again.
   */
  constructor(
    readonly buffer: Buffer,
    timeout = FOREVER,
    private readonly generation = 0,
  ) {
    this.view = new DataView(buffer.buffer, buffer.byteOffset, buffer.length);
    this.#validSeconds = Math.min(Math.floor(timeout), FOREVER);
    this.#validNanoseconds = Math.floor((timeout % 1) * 1e9);
  }

  /** Room for a body. */
  get capacity(): number {
    return this.buffer.length - OUT_HEADER;
  }

  u32(offset: number, value: number): void {
    this.view.setUint32(OUT_HEADER + offset, value, true);
  }

  u64(offset: number, value: number): void {
    this.u32(offset, value % TWO_32);
    this.u32(offset + 4, Math.floor(value / TWO_32));
  }

  #i64(offset: number, value: number): void {
    const low = ((value % TWO_32) + TWO_32) % TWO_32;
    this.u32(offset, low);
    this.view.setInt32(OUT_HEADER + offset + 4, (value - low) / TWO_32, true);
  }

  zero(offset: number, size: number): void {
    this.buffer.fill(0, OUT_HEADER + offset, OUT_HEADER + offset + size);
  }

  /** struct fuse_entry_out */
  entry(offset: number, { nodeId, stat }: EntryOut): number {
    this.u64(offset, nodeId);
    this.u64(offset + 8, this.generation);
    this.u64(offset + 16, this.#validSeconds);
    this.u64(offset + 24, this.#validSeconds);
    this.u32(offset + 32, this.#validNanoseconds);
    this.u32(offset + 36, this.#validNanoseconds);
    this.attributes(offset + 40, stat);
    return ENTRY_OUT;
  }

  /** "There is no such name": an entry with node id 0, which the kernel may keep as long as any other. */
  negativeEntry(): number {
    this.zero(0, ENTRY_OUT);
    this.u64(16, this.#validSeconds);
    this.u32(32, this.#validNanoseconds);
    return ENTRY_OUT;
  }

  /** struct fuse_attr_out */
  attributesOut(stat: Stat): number {
    this.u64(0, this.#validSeconds);
    this.u32(8, this.#validNanoseconds);
    this.u32(12, 0);
    this.attributes(16, stat);
    return ATTR_OUT;
  }

  /** struct fuse_attr */
  attributes(offset: number, stat: Stat): void {
    this.u32(offset, stat.inodeLow);
    this.u32(offset + 4, stat.inodeHigh);
    this.u64(offset + 8, stat.size);
    this.u64(offset + 16, stat.blocks);
    this.#i64(offset + 24, stat.accessSeconds);
    this.#i64(offset + 32, stat.modifySeconds);
    this.#i64(offset + 40, stat.changeSeconds);
    this.u32(offset + 48, stat.accessNanoseconds);
    this.u32(offset + 52, stat.modifyNanoseconds);
    this.u32(offset + 56, stat.changeNanoseconds);
    this.u32(offset + 60, stat.mode);
    this.u32(offset + 64, stat.linkCount);
    this.u32(offset + 68, stat.uid);
    this.u32(offset + 72, stat.gid);
    this.u32(offset + 76, encodeDevice(stat));
    this.u32(offset + 80, stat.blockSize);
    this.u32(offset + 84, 0);
  }

  /** struct fuse_statx_out: basic attributes and the birth time. */
  statx(stat: Stat): number {
    this.zero(0, STATX_OUT);
    this.u64(0, this.#validSeconds);
    this.u32(8, this.#validNanoseconds);
    const at = 32;
    this.u32(at, stat.hasBirth ? 0xfff : 0x7ff);
    this.u32(at + 4, stat.blockSize);
    this.u32(at + 16, stat.linkCount);
    this.u32(at + 20, stat.uid);
    this.u32(at + 24, stat.gid);
    this.u32(at + 28, stat.mode);
    this.u32(at + 32, stat.inodeLow);
    this.u32(at + 36, stat.inodeHigh);
    this.u64(at + 40, stat.size);
    this.u64(at + 48, stat.blocks);
    this.#time(at + 64, stat.accessSeconds, stat.accessNanoseconds);
    this.#time(at + 80, stat.birthSeconds, stat.birthNanoseconds);
    this.#time(at + 96, stat.changeSeconds, stat.changeNanoseconds);
    this.#time(at + 112, stat.modifySeconds, stat.modifyNanoseconds);
    this.u32(at + 128, stat.deviceMajor);
    this.u32(at + 132, stat.deviceMinor);
    return STATX_OUT;
  }

  #time(offset: number, seconds: number, nanoseconds: number): void {
    this.#i64(offset, seconds);
    this.u32(offset + 8, nanoseconds);
  }

  /** struct fuse_kstatfs */
  fileSystem(size: FileSystemSize): number {
    this.zero(0, STATFS_OUT);
    this.u64(0, size.blocks);
    this.u64(8, size.freeBlocks);
    this.u64(16, size.availableBlocks);
    this.u64(24, size.files);
    this.u64(32, size.freeFiles);
    this.u32(40, size.blockSize);
    this.u32(44, size.nameLength);
    this.u32(48, size.fragmentSize);
    return STATFS_OUT;
  }

  /** struct fuse_dirent and the name, padded to 8 bytes. Answers the bytes used. */
  dirent(offset: number, entry: DirectoryEntryOut): number {
    const { name } = entry;
    this.u32(offset, entry.inodeLow);
    this.u32(offset + 4, entry.inodeHigh);
    this.u64(offset + 8, entry.cookie);
    this.u32(offset + 16, name.length);
    this.u32(offset + 20, entry.type >>> 12);
    this.buffer.latin1Write(name, OUT_HEADER + offset + DIRENT);
    const used = direntSize(name);
    this.zero(offset + DIRENT + name.length, used - DIRENT - name.length);
    return used;
  }

  put(offset: number, bytes: Uint8Array): number {
    this.buffer.set(bytes, OUT_HEADER + offset);
    return bytes.length;
  }

  /** The body as a buffer to read into. */
  body(size: number): Buffer {
    return this.buffer.subarray(OUT_HEADER, OUT_HEADER + size);
  }
}

export interface DirectoryEntryOut {
  inodeLow: number;
  inodeHigh: number;
  /** Where the listing goes on after this entry. */
  cookie: number;
  /** S_IF* bits. */
  type: number;
  name: ByteString;
}

export function direntSize(name: ByteString): number {
  return (DIRENT + name.length + 7) & ~7;
}

/** As new_encode_dev in linux/kdev_t.h: 12 bits major, 20 bits minor. */
function encodeDevice({ deviceMajor: major, deviceMinor: minor }: Stat): number {
  return ((minor & 0xff) | (major << 8) | ((minor & ~0xff) << 12)) >>> 0;
}

export function decodeDevice(device: number): { major: number; minor: number } {
  return { major: (device & 0xfff00) >>> 8, minor: (device & 0xff) | ((device >>> 12) & 0xfff00) };
}
