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
import type { ByteString } from '../base/bytes.js';
import { close, O_NOFOLLOW, O_PATH } from '../sys/files.js';
import { handleOf, openHandle, openReadable } from '../sys/handles.js';
import { Stat, statAt, statFd } from '../sys/stat.js';
import { getXattr } from '../sys/xattrs.js';
import type { Layer } from './layer.js';
import { EMPTY } from './marks.js';
import type { DirectoryNode } from './node.js';
import type { Union } from './union.js';

const MAGIC = 0xfb;
const HEADER = 21;
const FLAG_BIG_ENDIAN = 1;
const FLAG_ANY_ENDIAN = 2;
const FLAG_PATH_UPPER = 4;
const ownEndian = endianness() === 'BE' ? FLAG_BIG_ENDIAN : 0;

/** The mark for `name` in `dir` of a lower layer; empty ("copied up, from where is not known") where the file system has no handles. */
export function encodeOrigin(layer: Layer, dir: number, name: ByteString, inUpper = false): Buffer {
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

/**
 * Finds the lower object that an upper one came from and reads it into `out`.
 * Where handles cannot be opened (no privilege) or say nothing, the lower object
 * of the same name is taken, if its type agrees. Answers whether there is one.
 */
export function readOrigin(union: Union, parent: DirectoryNode, name: ByteString, out: Stat): boolean {
  const dir = union.directories.of(parent.upper!);
  const mark = getXattr(dir, name, union.marks.origin);
  if (typeof mark === 'number') return false;
  return openOrigin(union, mark, out) || sameName(union, parent, name, dir, out);
}

/** Whether a mark has the form of one; an empty one says "from where is not known". */
export function isOrigin(mark: Buffer): boolean {
  return mark.length === 0 || isHandle(mark);
}

function isHandle(mark: Buffer): boolean {
  return mark.length > HEADER && mark[0] === 0 && mark[1] === MAGIC && mark[2] === mark.length;
}

/** The same by the mark alone. */
export function openOrigin(union: Union, mark: Buffer, out: Stat): boolean {
  if (!isHandle(mark)) return false;
  if (mark[3] !== ownEndian && (mark[3] & FLAG_ANY_ENDIAN) === 0) return false;
  const uuid = mark.subarray(5, HEADER);
  const handle = { type: mark[4], bytes: mark.subarray(HEADER) };
  const tried = new Set<number>();
  for (const layer of union.lowers) {
    if (tried.has(layer.fileSystem) || !layer.uuid.equals(uuid)) continue;
    if (union.watch.current.ask(layer.index) < 0) continue;
    tried.add(layer.fileSystem);
    const mountFd = openReadable(layer.fd);
    if (mountFd < 0) continue;
    const fd = openHandle(mountFd, handle, O_PATH | O_NOFOLLOW);
    close(mountFd);
    if (fd < 0) continue;
    const status = statFd(fd, out);
    close(fd);
    if (status === 0) return true;
  }
  return false;
}

function sameName(union: Union, parent: DirectoryNode, name: ByteString, dir: number, out: Stat): boolean {
  const upper = new Stat();
  if (statAt(dir, name, upper) < 0) return false;
  for (const lower of parent.lowers) {
    if (statAt(union.directories.of(lower), name, out) === 0) return out.type === upper.type;
  }
  return false;
}
