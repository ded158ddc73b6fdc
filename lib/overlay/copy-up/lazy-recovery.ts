// SPDX-License-Identifier: MIT
/**
 * Copies that a server left unfinished (lazy-copy.ts): the next mount completes them before
 * it serves anything; a new server of the same mount goes on with them in the background.
 * While one cannot be gone on with, because its lower layer does not answer, say, it is tried
 * again before each request, and its data is not read (Union.unresumed).
 */
import type { ByteString } from '../../base/bytes.js';
import { overlayDebug } from '../../base/debug.js';
import { EINVAL, ENOENT, ENXIO, type Errno, errnoName } from '../../base/errno.js';
import {
  close,
  O_PATH,
  O_RDWR,
  openAt,
  openBeneath,
  SEEK_DATA,
  SEEK_HOLE,
  seek,
  syncFile,
} from '../../sys/files.js';
import { Stat, statAt, statFd } from '../../sys/stat.js';
import { resolveData } from '../names/file-lookup.js';
import { restoreNode } from '../names/restore.js';
import { walk } from '../names/walk.js';
import { type FileNode, type OverlayNode, orphanOf } from '../nodes/node.js';
import { release } from '../nodes/references.js';
import type { Union } from '../nodes/union.js';
import { copySpan } from './copy-data.js';
import { becomeWhole, beginLazily, CHUNK, openSource } from './lazy-copy.js';
import { isRecorded, type LazyRecord, readList, removeFromList } from './lazy-list.js';

/** Finishes what an earlier mount left undone. Answers 0 or a negated errno. */
export function finishEarlierCopies(union: Union): Errno {
  const records = readList(union);
  if (typeof records === 'number') return records;
  for (const record of records) {
    const finished = finishAt(union, record);
    const status = finished < 0 ? finished : removeFromList(union, record.name);
    if (status < 0) return status;
  }
  return 0;
}

/** Goes on with copies that have their name, as far as that can be done now. */
export function resumeCopies(union: Union): Errno {
  const records = readList(union);
  if (typeof records === 'number') return records;
  union.unresumed.clear();
  const known = new Set([...union.lazy.values()].map(({ record }) => record));
  for (const record of records) {
    if (known.has(record.name) || !isAtItsPath(union, record)) continue;
    note(union, record, resumeAt(union, record));
  }
  return 0;
}

function note(union: Union, { path }: LazyRecord, status: Errno): void {
  if (status >= 0) return;
  union.unresumed.add(path);
  overlayDebug('the copy of %s cannot be gone on with yet: %s', path, errnoName(status));
}

/** Asked of the upper alone: a walk would take another file that came to the path for what is known by it. */
function isAtItsPath(union: Union, record: LazyRecord): boolean {
  const fd = openBeneath(union.upper!.fd, record.path, O_PATH);
  if (fd < 0) return false;
  const stat = new Stat();
  const found = statFd(fd, stat);
  close(fd);
  return found === 0 && isRecorded(record, stat);
}

function resumeAt(union: Union, record: LazyRecord): Errno {
  const node = walk(union, record.path, false);
  if (typeof node === 'number') return node;
  const status = resumeCopy(union, node, record);
  release(union, node);
  return status;
}

/** Goes on with copies of files that have lost their name, and forgets those that came to nothing. */
export function resumeOrphanCopies(union: Union): Errno {
  const records = readList(union);
  if (typeof records === 'number') return records;
  const known = new Set([...union.lazy.values()].map(({ record }) => record));
  for (const record of records) {
    if (known.has(record.name) || isAtItsPath(union, record)) continue;
    const orphan = orphanMeant(union, record);
    if (orphan !== undefined) note(union, record, resumeOrphan(union, orphan, record));
    else {
      const status = removeFromList(union, record.name);
      if (status < 0) return status;
    }
  }
  return 0;
}

/** The id of the file without a name that a record means. */
function orphanMeant(union: Union, record: LazyRecord): number | undefined {
  const stat = new Stat();
  const isIt = (orphan: ByteString | null): boolean =>
    orphan !== null && statAt(union.work!.fd, orphan, stat) === 0 && isRecorded(record, stat);
  for (const node of union.nodes.values()) if (isIt(orphanOf(node))) return node.id;
  for (const { id, orphan } of union.recovered?.values() ?? []) if (isIt(orphan)) return id;
  return undefined;
}

function resumeOrphan(union: Union, id: number, record: LazyRecord): Errno {
  const node = union.nodes.get(id) ?? restoreNode(union, id);
  return typeof node === 'number' ? node : resumeCopy(union, node, record);
}

/** A file that is whole by now is left alone. */
function resumeCopy(union: Union, node: OverlayNode, { name }: LazyRecord): Errno {
  const status = resolveData(union, node);
  if (status < 0 || node.isDirectory() || node.data.kind !== 'below') return status;
  return beginLazily(union, node, name, (to, size, filled) => {
    filled.fill(1);
    return forEachHole(to, size, (start, end) => {
      filled.fill(0, Math.floor(start / CHUNK), Math.ceil(end / CHUNK));
      return 0;
    });
  });
}

/** Before a request: what could not be gone on with may be by now. */
export function retryResuming(union: Union): void {
  const watch = union.watch.current;
  if (watch.isNeeded || watch.areChangesSuspended) return;
  const status = resumeCopies(union) || resumeOrphanCopies(union);
  if (status < 0) overlayDebug('copies in flight: %s', errnoName(status));
}

/** What is at a path in the list and is no metacopy any more was finished, removed or replaced. */
function finishAt(union: Union, { path }: LazyRecord): Errno {
  const node = walk(union, path, false);
  if (typeof node === 'number') return node === -ENOENT ? 0 : node;
  let status = resolveData(union, node);
  if (status === 0 && !node.isDirectory() && node.where.kind !== 'lower' && node.data.kind === 'below') {
    status = finishFile(union, node);
  }
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
