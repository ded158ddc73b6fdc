// SPDX-License-Identifier: MIT
/**
 * Copies that a server left unfinished (lazy-copy.ts): the next mount completes them before
 * it serves anything; a new server of the same mount goes on with them in the background.
 */
import type { ByteString } from '../base/bytes.js';
import { EINVAL, ENOENT, ENXIO, type Errno } from '../base/errno.js';
import { listDirectory, readLink, unlink } from '../sys/entries.js';
import { close, O_RDWR, openAt, SEEK_DATA, SEEK_HOLE, seek, syncFile } from '../sys/files.js';
import { openReadable } from '../sys/handles.js';
import { Stat, statFd } from '../sys/stat.js';
import { copySpan } from './copy-data.js';
import { resolveData } from './file-lookup.js';
import { restoreNode } from './journal/restore.js';
import { becomeWhole, beginLazily, CHUNK, openSource } from './lazy-copy.js';
import { openList } from './lazy-list.js';
import type { FileNode } from './node.js';
import { release } from './references.js';
import type { Union } from './union.js';
import { walk } from './walk.js';

/** Finishes what an earlier server left undone. Answers 0 or a negated errno. */
export function finishEarlierCopies(union: Union): Errno {
  return forEachRecord(union, (_, path) => {
    const status = finishAt(union, path);
    return status < 0 ? status : DONE;
  });
}

/** What is done with a record leaves it in the list, or not. */
const DONE = 1;

function forEachRecord(union: Union, visit: (record: ByteString, path: ByteString) => number): Errno {
  const list = openList(union, false);
  if (list < 0) return list === -ENOENT ? 0 : list;
  const names: ByteString[] = [];
  const readable = openReadable(list);
  let status = readable < 0 ? readable : listDirectory(readable, (name) => names.push(name) > 0);
  if (readable >= 0) close(readable);
  for (const record of names) {
    const path = status < 0 ? status : readLink(list, record);
    if (typeof path === 'number') continue;
    status = visit(record, path);
    if (status === DONE) status = unlink(list, record);
  }
  close(list);
  return status;
}

/** Goes on with copies of files that have a name. Answers 0 or a negated errno. */
export function resumeCopies(union: Union): Errno {
  return forEachRecord(union, (record, path) => {
    if (!path.startsWith('/')) return 0;
    const node = walk(union, path, false);
    if (typeof node === 'number') return node === -ENOENT ? 0 : node;
    const status = node.isDirectory() ? 0 : resumeCopy(union, node, record);
    release(union, node);
    return status;
  });
}

/** Goes on with copies of files that have lost their name, and forgets those that came to nothing. */
export function resumeOrphanCopies(union: Union): Errno {
  const known = new Set([...union.lazy].map((node) => node.lazy!.record));
  return forEachRecord(union, (record, path) => {
    if (known.has(record)) return 0;
    const recorded = [...(union.recovered?.values() ?? [])].find(({ orphan }) => orphan === path);
    const node = recorded === undefined ? -ENOENT : restoreNode(union, recorded.id);
    if (typeof node === 'number' || node.isDirectory()) return DONE;
    const status = resumeCopy(union, node, record);
    return status < 0 || node.lazy?.record === record ? Math.min(status, 0) : DONE;
  });
}

/** A file that is whole by now, or is in no copy of this list, is left alone. */
function resumeCopy(union: Union, node: FileNode, record: ByteString): Errno {
  const status = resolveData(union, node);
  if (status < 0 || node.data === null || node.lazy !== null) return status;
  if (!node.inUpper && node.orphan === null) return 0;
  return beginLazily(union, node, record, (to, size, filled) => {
    filled.fill(1);
    return forEachHole(to, size, (start, end) => {
      filled.fill(0, Math.floor(start / CHUNK), Math.ceil(end / CHUNK));
      return 0;
    });
  });
}

/** A path in the list that is no metacopy any more was finished, removed or replaced. */
function finishAt(union: Union, path: ByteString): Errno {
  const node = walk(union, path, false);
  if (typeof node === 'number') return node === -ENOENT ? 0 : node;
  let status = resolveData(union, node);
  if (status === 0 && !node.isDirectory() && node.inUpper && node.data !== null)
    status = finishFile(union, node);
  release(union, node);
  return status;
}

function finishFile(union: Union, node: FileNode): Errno {
  const from = openSource(union, node);
  const located = from < 0 ? from : union.locate(node, union.place);
  const to = located < 0 ? located : openAt(union.place.fd, union.place.name, O_RDWR);
  let status: Errno = to < 0 ? to : fillHoles(from, to);
  if (status >= 0 && union.features.sync) status = syncFile(to);
  if (from >= 0) close(from);
  if (to >= 0) close(to);
  return status < 0 ? status : becomeWhole(union, node);
}

function fillHoles(from: number, to: number): Errno {
  const stat = new Stat();
  const found = statFd(from, stat);
  return found < 0 ? found : forEachHole(to, stat.size, (start, end) => copySpan(from, to, start, end));
}

/** Visits the holes up to `size`, the one at the end included. Answers 0 or a negated errno. */
function forEachHole(to: number, size: number, visit: (start: number, end: number) => Errno): Errno {
  for (let at = 0; at < size; ) {
    const hole = seek(to, at, SEEK_HOLE);
    // Where the file system cannot say what is a hole nothing was ever copied lazily.
    if (hole < 0) return hole === -ENXIO ? 0 : hole === -EINVAL ? 0 : hole;
    const data = seek(to, hole, SEEK_DATA);
    const end = Math.min(data < 0 ? size : data, size);
    if (hole < end) {
      const status = visit(hole, end);
      if (status < 0) return status;
    }
    at = Math.max(end, hole);
    if (data < 0) return 0;
  }
  return 0;
}
