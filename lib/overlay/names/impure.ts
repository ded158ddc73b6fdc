// SPDX-License-Identifier: MIT
/**
 * Impure directories: those of the upper that hold objects with an origin, so that a listing has to
 * ask each entry for its inode number (overlayfs.rst, "Inode properties").
 */
import { EOPNOTSUPP, EPERM, type Errno } from '../../base/errno.js';
import { xattrIs } from '../../sys/xattrs.js';
import { setMark } from '../formats/as-owner.js';
import { YES } from '../formats/marks.js';
import type { DirectoryNode } from '../nodes/node.js';
import type { Union } from '../nodes/union.js';

/** Whether the upper directory may hold objects with an origin (ovl_is_impuredir). */
export function isImpure(union: Union, directory: DirectoryNode): boolean {
  if (directory.impure === undefined) {
    const fd = directory.upper === null ? -1 : union.directories.of(directory.upper);
    directory.impure = fd >= 0 && xattrIs(fd, '.', union.marks.impure, 'y');
  }
  return directory.impure;
}

/** Marks a directory of the upper as holding objects with an origin (ovl_set_impure). */
export function setImpure(union: Union, directory: DirectoryNode): Errno {
  if (isImpure(union, directory)) return 0;
  const status = setMark(union.directories.of(directory.upper!), '.', union.marks.impure, YES);
  // Where the upper has no attributes at all there is no origin to point at either.
  const impossible = union.work!.ways.form === 'file' && (status === -EOPNOTSUPP || status === -EPERM);
  if (status === 0 || impossible) directory.impure = true;
  return impossible ? 0 : status;
}
