// SPDX-License-Identifier: MIT
/**
 * Origin marks: from which lower object an upper one was copied up. The format
 * is the kernel's `struct ovl_fb` (fs/overlayfs/overlayfs.h): a file handle with
 * the file system's uuid, so that an inode number outlives copy-up, rename and
 * remount.
 *
 *   u8 version 0, u8 magic 0xfb, u8 length, u8 flags, u8 handle type, u8 uuid[16], handle
 */
import { endianness } from 'node:os';
import type { ByteString } from '../../base/bytes.js';
import { type FileHandle, handleOf } from '../../sys/handles.js';
import { EMPTY } from './marks.js';

const MAGIC = 0xfb;
const HEADER = 21;
const FLAG_BIG_ENDIAN = 1;
const FLAG_ANY_ENDIAN = 2;
const FLAG_PATH_UPPER = 4;
const ownEndian = endianness() === 'BE' ? FLAG_BIG_ENDIAN : 0;

/** The mark for `name` in `dir` of a lower layer, whose file system has `uuid`; empty ("copied up, from where is not known") where the file system has no handles. */
export function encodeOrigin(
  layer: { uuid: Buffer },
  dir: number,
  name: ByteString,
  inUpper = false,
): Buffer {
  const handle = handleOf(dir, name);
  if (typeof handle === 'number' || handle.type > 255 || HEADER + handle.bytes.length > 255) return EMPTY;
  const mark = Buffer.alloc(HEADER + handle.bytes.length);
  mark[1] = MAGIC;
  mark[2] = mark.length;
  mark[3] = ownEndian | (inUpper ? FLAG_PATH_UPPER : 0);
  mark[4] = handle.type;
  layer.uuid.copy(mark, 5);
  handle.bytes.copy(mark, HEADER);
  return mark;
}

/** Whether a mark has the form of one; an empty one says "from where is not known". */
export function isOrigin(mark: Buffer): boolean {
  return mark.length === 0 || isHandle(mark);
}

function isHandle(mark: Buffer): boolean {
  return mark.length > HEADER && mark[0] === 0 && mark[1] === MAGIC && mark[2] === mark.length;
}

/** What a mark says; null where it says nothing that this machine can use. */
export function decodeOrigin(mark: Buffer): { uuid: Buffer; handle: FileHandle } | null {
  if (!isHandle(mark)) return null;
  if (mark[3] !== ownEndian && (mark[3] & FLAG_ANY_ENDIAN) === 0) return null;
  return { uuid: mark.subarray(5, HEADER), handle: { type: mark[4], bytes: mark.subarray(HEADER) } };
}
