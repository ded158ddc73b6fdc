// SPDX-License-Identifier: MIT
/** Messages as the kernel writes them, made by hand, and a session to send them to. */

import type { FileSystem } from '../../lib/fuse/file-system.js';
import { Session } from '../../lib/fuse/session.js';

/** Fields of a message body, in order: numbers by width, names with their NUL, raw bytes. */
export type Field =
  | { u16: number }
  | { u32: number }
  | { u64: number | bigint }
  | { name: string }
  | { bytes: Uint8Array };

export function body(...fields: Field[]): Buffer {
  return Buffer.concat(fields.map(encode));
}

function encode(field: Field): Buffer {
  if ('name' in field) return Buffer.from(`${field.name}\0`, 'latin1');
  if ('bytes' in field) return Buffer.from(field.bytes);
  if ('u16' in field) {
    const bytes = Buffer.alloc(2);
    bytes.writeUInt16LE(field.u16);
    return bytes;
  }
  if ('u32' in field) {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32LE(field.u32 >>> 0);
    return bytes;
  }
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(field.u64));
  return bytes;
}

export interface HeaderFields {
  opcode: number;
  unique?: bigint;
  node?: number;
  uid?: number;
  gid?: number;
  pid?: number;
  /** The length that the header claims, if it is not the true one. */
  claimed?: number;
}

/** struct fuse_in_header and a body. */
export function request(header: HeaderFields, content: Buffer = Buffer.alloc(0)): Buffer {
  return Buffer.concat([
    body(
      { u32: header.claimed ?? 40 + content.length },
      { u32: header.opcode },
      { u64: header.unique ?? 7n },
      { u64: header.node ?? 1 },
      { u32: header.uid ?? 0 },
      { u32: header.gid ?? 0 },
      { u32: header.pid ?? 1 },
      { u32: 0 },
    ),
    content,
  ]);
}

export interface Answer {
  error: number;
  unique: bigint;
  body: Buffer;
}

/** Sends one message; answers what the session replied, or undefined for nothing. */
export function exchange(session: Session, message: Buffer): Answer | undefined {
  message.copy(session.message.buffer);
  const size = session.serve(message.length);
  if (size === 0) return undefined;
  const reply = Buffer.from(session.reply.buffer.subarray(0, size));
  if (reply.readUInt32LE(0) !== size) throw new Error('the reply claims another length than was sent');
  return { error: reply.readInt32LE(4), unique: reply.readBigUInt64LE(8), body: reply.subarray(16) };
}

/** What Linux 6.18 offers at INIT: protocol 7.45 and every flag. */
export const LINUX_INIT = body(
  { u32: 7 },
  { u32: 45 },
  { u32: 131072 },
  { u32: 0xfffffffb },
  { u32: 0xffffffff },
  {
    bytes: new Uint8Array(44),
  },
);

export interface Started {
  session: Session;
  faults: string[];
  counts: Float64Array;
}

/** A session on a file system; INIT is done unless it is left out. */
export function start(fileSystem: Partial<FileSystem>, init = true): Started {
  const faults: string[] = [];
  const counts = new Float64Array(64);
  const session = new Session(fileSystem as FileSystem, counts, (name, fault) =>
    faults.push(`${name}: ${fault}`),
  );
  if (init) exchange(session, request({ opcode: 26 }, LINUX_INIT));
  return { session, faults, counts };
}
