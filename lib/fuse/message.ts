// SPDX-License-Identifier: MIT
/**
 * One request as it lies in the read buffer. Nothing is copied but names, which
 * the engine keeps. Every access is bounded by the length that the kernel gave;
 * `name` answers undefined for anything that is not a proper component.
 *
 *   fuse_in_header: u32 len, u32 opcode, u64 unique, u64 nodeid, u32 uid, u32 gid, u32 pid, u16 extlen, u16 pad
 */
import type { ByteString } from '../base/bytes.js';
import { IN_HEADER } from './abi.js';

const TWO_32 = 2 ** 32;

export class Message {
  readonly view: DataView;
  length = 0;
  opcode = 0;
  nodeId = 0;
  /** The request's number in two halves, without the bit that says that it is sent again (FUSE_UNIQUE_RESEND). */
  unique = 0;
  uniqueHigh = 0;
  uid = 0;
  gid = 0;
  pid = 0;

  constructor(readonly buffer: Buffer) {
    this.view = new DataView(buffer.buffer, buffer.byteOffset, buffer.length);
  }

  /** Reads the header of a message of `length` bytes. Answers false when it is no whole message. */
  begin(length: number): boolean {
    if (length < IN_HEADER || this.view.getUint32(0, true) !== length) return false;
    this.opcode = this.view.getUint32(4, true);
    this.unique = this.view.getUint32(8, true);
    this.uniqueHigh = this.view.getUint32(12, true) & 0x7fffffff;
    this.nodeId = this.u64(16 - IN_HEADER);
    this.uid = this.view.getUint32(24, true);
    this.gid = this.view.getUint32(28, true);
    this.pid = this.view.getUint32(32, true);
    // Extensions (7.38) stand at the end, in units of 8 bytes; none is asked for, so none is read.
    this.length = length - this.view.getUint16(36, true) * 8;
    return this.length >= IN_HEADER;
  }

  /** Makes the buffer hold no message. */
  clear(): void {
    this.view.setUint32(0, 0, true);
  }

  /** Bytes after the header. */
  get bodyLength(): number {
    return this.length - IN_HEADER;
  }

  /** Offsets count from the end of the header. */
  u32(offset: number): number {
    return this.view.getUint32(IN_HEADER + offset, true);
  }

  /** Exact up to 2^53; what is larger is for the caller to refuse. */
  u64(offset: number): number {
    const at = IN_HEADER + offset;
    return this.view.getUint32(at, true) + this.view.getUint32(at + 4, true) * TWO_32;
  }

  i64(offset: number): number {
    const at = IN_HEADER + offset;
    return this.view.getUint32(at, true) + this.view.getInt32(at + 4, true) * TWO_32;
  }

  /** The bytes up to the next NUL; undefined when there is none within the message. */
  text(offset: number): ByteString | undefined {
    const start = IN_HEADER + offset;
    const end = this.buffer.indexOf(0, start);
    return end < start || end >= this.length ? undefined : this.buffer.latin1Slice(start, end);
  }

  /** One component of a path: not empty, no slash, neither `.` nor `..`. */
  name(offset: number): ByteString | undefined {
    const name = this.text(offset);
    if (name === undefined || name === '' || name === '.' || name === '..') return undefined;
    return name.includes('/') ? undefined : name;
  }

  /** A view of `size` bytes, valid until the next message; undefined when they are not all there. */
  bytes(offset: number, size: number): Buffer | undefined {
    const start = IN_HEADER + offset;
    return start + size > this.length ? undefined : this.buffer.subarray(start, start + size);
  }
}
