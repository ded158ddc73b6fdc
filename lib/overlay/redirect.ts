// SPDX-License-Identifier: MIT
/**
 * Marks that keep a moved directory what it was. A merged directory says by a
 * redirect where the layers below have it; one that merges nothing says by an
 * opaque mark that it does not want what lies below its new name
 * (ovl_set_redirect, ovl_set_opaque in fs/overlayfs/dir.c).
 */
import type { ByteString } from '../base/bytes.js';
import { type Errno, EXDEV } from '../base/errno.js';
import { getXattr, setXattr, xattrIs } from '../sys/xattrs.js';
import { YES } from './marks.js';
import type { DirectoryNode } from './node.js';
import { gone, type Union } from './union.js';

/**
 * Prepares a directory of the upper, which may be moved (canMove), for going from one parent to another (or
 * to another name in the same). -EXDEV says that it cannot be moved, and that
 * the caller may copy it instead, as between file systems.
 */
export function prepareMove(
  union: Union,
  node: DirectoryNode,
  from: DirectoryNode,
  to: DirectoryNode,
): Errno {
  const fd = union.directories.of(node.upper!);
  if (fd < 0) return gone(fd);
  if (node.merges) return setRedirect(union, node, fd, from === to);
  if (!to.merges || xattrIs(fd, '.', union.marks.opaque, 'y')) return 0;
  return setXattr(fd, '.', union.marks.opaque, YES) < 0 ? -EXDEV : 0;
}

function setRedirect(union: Union, node: DirectoryNode, fd: number, sameParent: boolean): Errno {
  const present = getXattr(fd, '.', union.marks.redirect);
  if (typeof present !== 'number' && (sameParent || present[0] === 0x2f)) return 0;
  const lower = node.lowers[0];
  const value: ByteString = sameParent ? lower.name : `/${lower.path()}`;
  const status = setXattr(fd, '.', union.marks.redirect, Buffer.from(value, 'latin1'));
  return status < 0 ? -EXDEV : 0;
}
