// SPDX-License-Identifier: MIT
/**
 * The list of copies in flight (lazy-copy.ts): `work/lazy` has a symlink for each, whose target says
 * which inode of the upper the copy is and the path that it had there at first, as in `1.4711 dir/file`.
 * The inode tells it from another file that came to its path, and leads to it when it has no name any more.
 */
import type { ByteString } from '../../base/bytes.js';
import { EEXIST, ENOENT, type Errno, type FdOrErrno } from '../../base/errno.js';
import { listDirectory, makeDirectory, makeSymlink, readLink, unlink } from '../../sys/entries.js';
import { close, O_DIRECTORY, O_PATH, openAt } from '../../sys/files.js';
import { openReadable } from '../../sys/handles.js';
import { Stat, statAt } from '../../sys/stat.js';
import type { DirectoryNode } from '../nodes/node.js';
import type { Union } from '../nodes/union.js';

/** One copy in flight, as the list has it. */
export interface LazyRecord {
  /** Its name in the list. */
  name: ByteString;
  inode: string;
  /** Beneath the upper. */
  path: ByteString;
}

/** Descriptor of the list, made when it is first needed; or a negated errno. */
function openList(union: Union, create: boolean): FdOrErrno {
  const work = union.work!.fd;
  if (create) {
    const made = makeDirectory(work, 'lazy', 0o700);
    if (made < 0 && made !== -EEXIST) return made;
  }
  return openAt(work, 'lazy', O_PATH | O_DIRECTORY);
}

/** Where a name of a directory is beneath the upper. Precondition: the directory is there. */
export function pathInUpper(directory: DirectoryNode, name: ByteString): ByteString {
  const above = directory.upper!.path();
  return above === '' ? name : `${above}/${name}`;
}

/** What tells an inode of the upper's file system from others. */
function inodeOf({ inodeHigh, inodeLow }: Stat): string {
  return `${inodeHigh}.${inodeLow}`;
}

/** Whether an object of the upper's file system is the one that a record means. */
export function isRecorded({ inode }: LazyRecord, stat: Stat): boolean {
  return inodeOf(stat) === inode;
}

/**
 * Enters a copy in the list before it can be seen: `staged` in the work directory, which will be
 * `name` of `directory`. Answers the record's name or a negated errno.
 */
export function enterInList(
  union: Union,
  staged: ByteString,
  directory: DirectoryNode,
  name: ByteString,
): ByteString | Errno {
  const stat = new Stat();
  const found = statAt(union.work!.fd, staged, stat);
  const list = found < 0 ? found : openList(union, true);
  if (list < 0) return list;
  const record = union.work!.temporaryName();
  const status = makeSymlink(list, record, `${inodeOf(stat)} ${pathInUpper(directory, name)}`);
  close(list);
  return status < 0 ? status : record;
}

export function removeFromList(union: Union, record: ByteString): Errno {
  const list = openList(union, false);
  if (list < 0) return list;
  const status = unlink(list, record);
  close(list);
  return status;
}

/** The list as it is now, or a negated errno. What is no record is left out. */
export function readList(union: Union): LazyRecord[] | Errno {
  const list = openList(union, false);
  if (list < 0) return list === -ENOENT ? [] : list;
  const names: ByteString[] = [];
  const readable = openReadable(list);
  const status = readable < 0 ? readable : listDirectory(readable, (name) => names.push(name) > 0);
  if (readable >= 0) close(readable);
  const records = names.flatMap((name) => {
    const target = readLink(list, name);
    return typeof target === 'number' ? [] : parseRecord(name, target);
  });
  close(list);
  return status < 0 ? status : records;
}

function parseRecord(name: ByteString, target: ByteString): LazyRecord[] {
  const at = target.indexOf(' ');
  return at < 0 ? [] : [{ name, inode: target.slice(0, at), path: target.slice(at + 1) }];
}
