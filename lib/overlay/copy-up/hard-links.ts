// SPDX-License-Identifier: MIT
/**
 * Changes to files that the index keeps together. Whoever changes a name of such a
 * file first gives it a link in the upper (ovl_link_up in fs/overlayfs/copy_up.c),
 * and says how many names there are before and after (ovl_nlink_start,
 * ovl_nlink_end in fs/overlayfs/util.c).
 */
import type { ByteString } from '../../base/bytes.js';
import type { Errno } from '../../base/errno.js';
import { rename, unlink } from '../../sys/entries.js';
import { inLower } from '../nodes/file-content.js';
import type { DirectoryNode, FileNode, OverlayNode } from '../nodes/node.js';
import { setWhere } from '../nodes/recorder.js';
import type { Union } from '../nodes/union.js';
import { copyUp, copyUpMetadata } from './copy-up.js';
import { completeBelow } from './lazy-copy.js';
import { linkUp } from './link-up.js';

/** Copies a node up with the name that it is about to lose or change. Answers 0 or a negated errno. */
export function copyUpName(
  union: Union,
  node: OverlayNode,
  directory: DirectoryNode,
  name: ByteString,
): Errno {
  let status = completeBelow(union, node);
  if (status >= 0) status = copyUpMetadata(union, node);
  if (status < 0 || node.isDirectory() || node.indexed === null) return status;
  status = copyUp(union, directory);
  return status < 0 ? status : linkUp(union, node.indexed, directory.entries.get(name)!);
}

/**
 * Makes ready for a name to go. Where the index was asked for, the file is copied up first, so
 * that the count of its names outlives the mount (ovl_nlink_start). Where it was not, nobody is
 * to wait for a copy of what he removes: after a remount the count may be too high.
 */
export function prepareLoss(union: Union, node: FileNode, directory: DirectoryNode, name: ByteString): Errno {
  const isCounted = node.where.kind === 'index' || (node.indexed !== null && union.features.exactLinkCounts);
  return isCounted ? copyUpName(union, node, directory, name) : copyUp(union, directory);
}

/** Makes ready for a name to come or go. Precondition: that name, if it is there, is linked up. */
export function startLinkChange(union: Union, node: OverlayNode): Errno {
  if (node.isDirectory() || node.where.kind !== 'index') return 0;
  return union.index!.markLinks(node.where.indexed, 'copy');
}

/**
 * A name has come (`by` 1) or gone (-1). After the last one the copy leaves the
 * index; a file that may be in use stays in the work directory meanwhile.
 */
export function endLinkChange(
  union: Union,
  node: OverlayNode,
  by: 1 | -1,
  orphan = union.work!.temporaryName(),
): Errno {
  if (node.isDirectory() || node.indexed === null) return 0;
  const { indexed, where } = node;
  indexed.links += by;
  if (where.kind === 'lower') union.index!.remember(indexed);
  if (indexed.links > 0) return 0;
  if (where.kind === 'lower') {
    node.where = inLower(where);
    return 0;
  }
  if (node.references === 0) return unlink(union.index!.fd, indexed.name);
  const status = rename(union.index!.fd, indexed.name, union.work!.fd, orphan);
  if (status === 0) setWhere(union, node, { kind: 'orphan', name: orphan });
  return status;
}
