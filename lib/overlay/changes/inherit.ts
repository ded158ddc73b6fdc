// SPDX-License-Identifier: MIT
/**
 * What a new object takes from its parent: the group and the setgid bit, and the
 * default ACL. The file system does that itself where an object is made, so an
 * object staged in the work directory is made inside a directory there that
 * passes on the same; no ACL arithmetic of our own.
 */
import type { Errno } from '../../base/errno.js';
import type { Rollback } from '../../base/rollback.js';
import { changeMode, changeOwner, makeDirectory, removeDirectory } from '../../sys/entries.js';
import { close, O_DIRECTORY, O_PATH, openAt } from '../../sys/files.js';
import { Stat, statAt } from '../../sys/stat.js';
import { getXattr, setXattr } from '../../sys/xattrs.js';
import { S_ISGID } from '../copy-up/ownership.js';
import type { DirectoryNode } from '../nodes/node.js';
import { gone, type Union } from '../nodes/union.js';

const DEFAULT_ACL = 'system.posix_acl_default';

export interface InheritingDirectory {
  /** Where to make the object: the work directory itself if there is nothing to inherit; or a negated errno. */
  fd: number;
  /** Takes the directory away again, once it is empty. */
  remove(): Errno;
}

const nothing = (): Errno => 0;

/** Precondition: the parent is in the upper. Where owners are kept in attributes there is nothing to pass on. The directory goes with `undo`, or by `remove`. */
export function inheritingDirectory(
  union: Union,
  parent: DirectoryNode,
  undo: Rollback,
): InheritingDirectory {
  const work = union.work!;
  if (union.upper!.override !== null) return { fd: work.fd, remove: nothing };
  const upper = union.directories.of(parent.upper!);
  const stat = new Stat();
  const found = upper < 0 ? upper : statAt(upper, '.', stat);
  if (found < 0) return { fd: gone(found), remove: nothing };
  const acl = getXattr(upper, '.', DEFAULT_ACL);
  const hasAcl = typeof acl !== 'number';
  if ((stat.mode & S_ISGID) === 0 && !hasAcl) return { fd: work.fd, remove: nothing };

  const name = work.temporaryName();
  let status = makeDirectory(work.fd, name, 0o700);
  if (status < 0) return { fd: status, remove: nothing };
  undo.push(() => void work.discardTree(name));
  status = changeOwner(work.fd, name, stat.uid, stat.gid);
  if (status >= 0) status = changeMode(work.fd, name, stat.mode & 0o7777);
  if (status >= 0 && hasAcl) status = setXattr(work.fd, name, DEFAULT_ACL, acl);
  if (status >= 0) status = openAt(work.fd, name, O_PATH | O_DIRECTORY);
  if (status < 0) return { fd: status, remove: nothing };
  const fd = status;
  undo.push(() => void close(fd));
  return {
    fd,
    remove: () => {
      close(fd);
      return removeDirectory(work.fd, name);
    },
  };
}
