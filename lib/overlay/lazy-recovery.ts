// SPDX-License-Identifier: MIT
/** Copies that a server left unfinished (lazy-copy.ts): the next mount completes them before it serves anything. */
import type { ByteString } from '../base/bytes.js';
import { EINVAL, ENOENT, ENXIO, type Errno } from '../base/errno.js';
import { listDirectory, readLink, unlink } from '../sys/entries.js';
import { close, O_RDWR, openAt, SEEK_DATA, SEEK_HOLE, seek, syncFile } from '../sys/files.js';
import { openReadable } from '../sys/handles.js';
import { Stat, statFd } from '../sys/stat.js';
import { copySpan } from './copy-data.js';
import { resolveData } from './file-lookup.js';
import { becomeWhole, openList, openSource } from './lazy-copy.js';
import type { FileNode } from './node.js';
import { release } from './references.js';
import type { Union } from './union.js';
import { walk } from './walk.js';

/** Finishes what an earlier server left undone. Answers 0 or a negated errno. */
export function finishEarlierCopies(union: Union): Errno {
  const list = openList(union, false);
  if (list < 0) return list === -ENOENT ? 0 : list;
  const names: ByteString[] = [];
  const readable = openReadable(list);
  let status = readable < 0 ? readable : listDirectory(readable, (name) => names.push(name) > 0);
  if (readable >= 0) close(readable);
  for (const record of names) {
    const path = readLink(list, record);
    if (status >= 0 && typeof path !== 'number') status = finishAt(union, path);
    if (status >= 0) status = unlink(list, record);
  }
  close(list);
  return status;
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
  if (found < 0) return found;
  for (let at = 0; at < stat.size; ) {
    const hole = seek(to, at, SEEK_HOLE);
    // Where the file system cannot say what is a hole nothing was ever copied lazily.
    if (hole < 0) return hole === -ENXIO ? 0 : hole === -EINVAL ? 0 : hole;
    const data = seek(to, hole, SEEK_DATA);
    const end = Math.min(data < 0 ? stat.size : data, stat.size);
    if (hole < end) {
      const status = copySpan(from, to, hole, end);
      if (status < 0) return status;
    }
    at = Math.max(end, hole);
    if (data < 0) return 0;
  }
  return 0;
}
