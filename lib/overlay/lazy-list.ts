// SPDX-License-Identifier: MIT
/**
 * The list of copies in flight (lazy-copy.ts): `work/lazy` has a symlink for each, whose target is the
 * file's path beneath the upper, which begins with a slash, or its name in the work directory.
 */
import type { ByteString } from '../base/bytes.js';
import { EEXIST, type Errno } from '../base/errno.js';
import { makeDirectory, makeSymlink, unlink } from '../sys/entries.js';
import { close, O_DIRECTORY, O_PATH, openAt } from '../sys/files.js';
import type { DirectoryNode } from './node.js';
import type { Union } from './union.js';

/** Descriptor of the list, made when it is first needed; or a negated errno. */
export function openList(union: Union, create: boolean): number {
  const work = union.work!.fd;
  if (create) {
    const made = makeDirectory(work, 'lazy', 0o700);
    if (made < 0 && made !== -EEXIST) return made;
  }
  return openAt(work, 'lazy', O_PATH | O_DIRECTORY);
}

/** Enters a path in the list before its copy can be seen. Answers the record's name or a negated errno. */
export function enterInList(union: Union, path: ByteString): ByteString | Errno {
  const list = openList(union, true);
  if (list < 0) return list;
  const record = union.work!.temporaryName();
  const status = makeSymlink(list, record, path);
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

/** The path of a name beneath the upper, as the list has it. */
export function pathOf(directory: DirectoryNode, name: ByteString): ByteString {
  const above = directory.upper!.path();
  return above === '' ? `/${name}` : `/${above}/${name}`;
}
