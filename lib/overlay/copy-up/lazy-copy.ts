// SPDX-License-Identifier: MIT
/**
 * Copy-up that does not make the first write wait (`copyup=lazy`). The copy starts
 * as an empty file of the full size that is marked as a metacopy; what is written
 * goes there in whole chunks, what is read comes from there or from the lower file,
 * and the rest is copied while nobody asks for anything.
 *
 * Until it is whole, the copy is a metacopy to everybody else, and stands
 * in `work/lazy` (lazy-list.ts). Its data is just what it has no hole for: a chunk is filled from
 * the lower file before part of it is written, so a kill at any point leaves blocks
 * that are right and holes that the lower file fills, and the next mount finishes
 * what the list names.
 *
 * Whatever needs the whole file (truncation, allocation, sync, a further name), or
 * moves it or a directory above it, first completes it.
 */
import type { ByteString } from '../../base/bytes.js';
import { overlayDebug } from '../../base/debug.js';
import { EIO, ENOENT, type Errno, errnoName, type FdOrErrno, type SizeOrErrno } from '../../base/errno.js';
import {
  close,
  O_NOATIME,
  O_RDONLY,
  O_RDWR,
  openAt,
  readFully,
  syncFile,
  writeFully,
} from '../../sys/files.js';
import { Stat, statFd } from '../../sys/stat.js';
import { removeXattr } from '../../sys/xattrs.js';
import { type LazyCopy, OWN, sourceOf } from '../nodes/file-content.js';
import type { FileNode, OverlayNode } from '../nodes/node.js';
import { release } from '../nodes/references.js';
import { gone, type Union } from '../nodes/union.js';
import { copySpan } from './copy-data.js';
import { pathInUpper, removeFromList } from './lazy-list.js';

/** Files below this are copied at once: it takes no longer than to answer. */
export const SMALLEST_LAZY = 8 << 20;
/** Copies in flight at a time, because each holds two descriptors; the next file is copied at once. */
export const MOST_LAZY = 16;
/** Bytes; a multiple of every block size, so that a whole chunk has no hole. */
export const CHUNK = 64 << 10;
/** Bytes copied in the background before the next look for a request. */
const SLICE = 1 << 20;

/**
 * Starts the copy of a file that has just been put in its place as a metacopy, or goes on with
 * one: then `mark` says which chunks are there. Answers 0 or a negated errno.
 */
export function beginLazily(
  union: Union,
  node: FileNode,
  record: ByteString,
  mark: (to: number, size: number, filled: Uint8Array) => Errno = () => 0,
): Errno {
  const source = sourceOf(node.data);
  if (source === null) return 0;
  const from = openSource(union, node);
  if (from < 0) return from;
  const located = union.locate(node, union.place);
  const to = located < 0 ? located : openAt(union.place.fd, union.place.name, O_RDWR);
  const stat = new Stat();
  const found = to < 0 ? to : statFd(from, stat);
  if (found < 0) {
    close(from);
    if (to >= 0) close(to);
    return gone(found);
  }
  const filled = new Uint8Array(Math.ceil(stat.size / CHUNK));
  const marked = mark(to, stat.size, filled);
  if (marked < 0) {
    close(from);
    close(to);
    return marked;
  }
  const { watch } = union;
  const lazy: LazyCopy = { kind: 'lazy', source, from, to, watch, size: stat.size, filled, next: 0, record };
  node.data = lazy;
  node.references++;
  union.lazy.set(node, lazy);
  return 0;
}

export function openSource(union: Union, node: FileNode): FdOrErrno {
  const located = union.locateData(node, union.place);
  if (located < 0) return located;
  const { fd, name } = union.place;
  const opened = openAt(fd, name, O_RDONLY | O_NOATIME);
  return gone(opened < 0 ? openAt(fd, name, O_RDONLY) : opened);
}

/** Reads a file whose copy is in flight; as readData. */
export function readLazily(lazy: LazyCopy, buffer: Uint8Array, wanted: number, offset: number): SizeOrErrno {
  const { from, to, size, filled } = lazy;
  let done = 0;
  while (done < wanted) {
    const at = offset + done;
    const chunk = Math.floor(at / CHUNK);
    const inCopy = at >= size || filled[chunk] === 1;
    const end =
      at >= size
        ? offset + wanted
        : Math.min(offset + wanted, (chunk + 1) * CHUNK, inCopy ? Number.POSITIVE_INFINITY : size);
    if (!inCopy && !answers(lazy)) return -EIO;
    const got = readFully(inCopy ? to : from, buffer.subarray(done), end - at, at);
    if (got < 0) return got;
    done += got;
    if (got < end - at) break;
  }
  return done;
}

/** Writes to a file whose copy is in flight; as writeData. */
export function writeLazily(lazy: LazyCopy, buffer: Uint8Array, wanted: number, offset: number): SizeOrErrno {
  const first = Math.floor(offset / CHUNK);
  const last = Math.floor((offset + wanted - 1) / CHUNK);
  for (const chunk of [first, last]) {
    const covered = offset <= chunk * CHUNK && offset + wanted >= Math.min((chunk + 1) * CHUNK, lazy.size);
    const status = covered ? 0 : fill(lazy, chunk);
    if (status < 0) return status;
  }
  const count = writeFully(lazy.to, buffer, wanted, offset);
  if (count === wanted) lazy.filled.fill(1, first, last + 1);
  return count;
}

/** Whether the layer of the lower file may be asked. */
function answers({ watch, source }: LazyCopy): boolean {
  return watch.current.ask(source.directory.layer.index) >= 0;
}

/** Copies a chunk that the copy lacks. Answers 0 or a negated errno. */
function fill(lazy: LazyCopy, chunk: number): Errno {
  const { from, to, size, filled } = lazy;
  if (chunk >= filled.length || filled[chunk] === 1) return 0;
  if (!answers(lazy)) return -EIO;
  const status = copySpan(from, to, chunk * CHUNK, Math.min((chunk + 1) * CHUNK, size));
  if (status >= 0) filled[chunk] = 1;
  return status;
}

/** Copies on for a moment. Answers whether there is more to do. */
export function copyOn(union: Union): boolean {
  const [oldest] = union.lazy;
  if (oldest === undefined) return false;
  const [node, lazy] = oldest;
  for (let budget = SLICE; budget > 0 && lazy.next < lazy.filled.length; lazy.next++) {
    if (lazy.filled[lazy.next] === 1) continue;
    const status = fill(lazy, lazy.next);
    if (status < 0) {
      // Out of space, say. It is tried again with the next write or sync, which gets the error.
      overlayDebug('copy in the background stops: %s', errnoName(status));
      return false;
    }
    budget -= CHUNK;
  }
  if (lazy.next === lazy.filled.length) {
    const status = finish(union, node, lazy);
    if (status < 0) overlayDebug('copy in the background cannot be finished: %s', errnoName(status));
  }
  return union.lazy.size > 0;
}

/** Completes the copy of a file, if one is in flight. Answers 0 or a negated errno. */
export function completeCopy(union: Union, node: FileNode): Errno {
  const { data: lazy } = node;
  if (lazy.kind !== 'lazy') return 0;
  for (; lazy.next < lazy.filled.length; lazy.next++) {
    const status = fill(lazy, lazy.next);
    if (status < 0) return status;
  }
  return finish(union, node, lazy);
}

/** Completes every copy in flight. Answers 0 or the first negated errno. */
export function completeCopies(union: Union): Errno {
  let result: Errno = 0;
  for (const node of [...union.lazy.keys()]) {
    const status = completeCopy(union, node);
    if (status < 0 && result === 0) result = status;
  }
  return result;
}

/** For a name that is about to move: the list names files by their path. */
export function completeBelow(union: Union, node: OverlayNode): Errno {
  return node.isDirectory() ? completeCopies(union) : completeCopy(union, node);
}

function finish(union: Union, node: FileNode, { from, to, record }: LazyCopy): Errno {
  const synced = union.features.sync ? syncFile(to) : 0;
  const status = synced < 0 ? synced : becomeWhole(union, node);
  if (status < 0) return status;
  close(from);
  close(to);
  union.lazy.delete(node);
  release(union, node);
  const removed = removeFromList(union, record);
  return removed === -ENOENT ? 0 : removed;
}

/** Whether a file's data may be in a copy that cannot be gone on with yet. */
export function isAwaited(union: Union, node: FileNode): boolean {
  if (union.unresumed.size === 0 || node.data.kind !== 'below') return false;
  const [entry] = node.names;
  return entry === undefined || union.unresumed.has(pathInUpper(entry.directory, entry.name));
}

/** Takes the mark away that says where the data is. Precondition: the file has all of it. */
export function becomeWhole(union: Union, node: FileNode): Errno {
  const located = union.locate(node, union.place);
  const status = located < 0 ? located : removeXattr(union.place.fd, union.place.name, union.marks.metacopy);
  if (status < 0) return status;
  node.data = OWN;
  union.files.forget(node);
  return 0;
}
