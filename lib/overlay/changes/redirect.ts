// SPDX-License-Identifier: MIT
/**
 * Marks that keep a moved directory what it was. A merged directory says by a
 * redirect where the layers below have it; one that merges nothing says by an
 * opaque mark that it does not want what lies below its new name
 * (ovl_set_redirect, ovl_set_opaque in fs/overlayfs/dir.c).
 */
import type { ByteString } from '../../base/bytes.js';
import { type Errno, EXDEV } from '../../base/errno.js';
import { getXattr, xattrIs } from '../../sys/xattrs.js';
import { setMark } from '../formats/as-owner.js';
import { resolveData } from '../names/file-lookup.js';
import { makeOpaque } from '../names/file-whiteouts.js';
import type { DirectoryNode, FileNode, OverlayNode } from '../nodes/node.js';
import { gone, type Union } from '../nodes/union.js';

const SLASH = 0x2f;

/**
 * Prepares an object of the upper, which may be moved (canMove), for going from one parent to another (or
 * to another name in the same). -EXDEV says that it cannot be moved, and that
 * the caller may copy it instead, as between file systems.
 */
export function prepareMove(
  union: Union,
  node: OverlayNode,
  from: DirectoryNode,
  fromName: ByteString,
  to: DirectoryNode,
): Errno {
  if (!node.isDirectory()) return redirectFile(union, node, from, fromName, from === to);
  const fd = union.directories.of(node.upper!);
  if (fd < 0) return gone(fd);
  if (node.merges) return setRedirect(union, node, fd, from === to);
  if (!to.merges || xattrIs(fd, '.', union.marks.opaque, 'y')) return 0;
  return makeOpaque(union, fd, '.') < 0 ? -EXDEV : 0;
}

/**
 * Lets a file that has its metadata only find its data from a new name. A further
 * name (`sameParent` false) always needs the whole path (ovl_set_link_redirect).
 */
export function redirectFile(
  union: Union,
  node: FileNode,
  from: DirectoryNode,
  fromName: ByteString,
  sameParent: boolean,
): Errno {
  const resolved = resolveData(union, node);
  if (resolved < 0 || node.data.kind === 'own' || from.lowers.length === 0) return resolved;
  const { place } = union;
  const located = union.locate(node, place);
  if (located < 0) return located;
  const present = getXattr(place.fd, place.name, union.marks.redirect);
  if (typeof present !== 'number' && (sameParent || present[0] === SLASH)) return 0;
  const base = typeof present === 'number' ? fromName : present.latin1Slice();
  const above = from.lowers[0].path();
  const value = sameParent ? base : above === '' ? `/${base}` : `/${above}/${base}`;
  return setMark(place.fd, place.name, union.marks.redirect, Buffer.from(value, 'latin1'));
}

function setRedirect(union: Union, node: DirectoryNode, fd: number, sameParent: boolean): Errno {
  const present = getXattr(fd, '.', union.marks.redirect);
  if (typeof present !== 'number' && (sameParent || present[0] === SLASH)) return 0;
  const lower = node.lowers[0];
  const value: ByteString = sameParent ? lower.name : `/${lower.path()}`;
  const status = setMark(fd, '.', union.marks.redirect, Buffer.from(value, 'latin1'));
  return status < 0 ? -EXDEV : 0;
}
