// SPDX-License-Identifier: MIT
/**
 * Whiteouts of a layer that is made without a union: that of an image, or one that hides what a
 * build leaves out. It may come to lie on a file system that takes no devices 0:0, as a mount of
 * overlayfs or of ours: there they are marked files (whiteouts.ts), and without attributes `.wh.` files.
 */
import type { ByteString } from '../../base/bytes.js';
import { EOPNOTSUPP, EPERM, type Errno } from '../../base/errno.js';
import { makeNode, unlink } from '../../sys/entries.js';
import { S_IFREG } from '../../sys/stat.js';
import { setXattr, xattrIs } from '../../sys/xattrs.js';
import { MARKED_WHITEOUTS, type Marks, WHITEOUT_DEVICE, WHITEOUT_MODE, YES } from './marks.js';
import { FILE_WHITEOUT_PREFIX } from './whiteout-names.js';

const FILE_MODE = S_IFREG | 0o444;

/** `root` and `dir` are descriptors of the layer and of a directory in it. Answers 0 or a negated errno. */
export function layWhiteout(marks: Marks, root: number, dir: number, name: ByteString): Errno {
  const made = makeNode(dir, name, WHITEOUT_MODE, WHITEOUT_DEVICE);
  if (made !== -EPERM && made !== -EOPNOTSUPP) return made;
  // One that hides all that is below it says so by the same mark, and needs no whiteout.
  if (xattrIs(dir, '.', marks.opaque, 'y')) return 0;
  const status = layMarked(marks, [root, dir], name);
  if (status !== -EPERM && status !== -EOPNOTSUPP) return status;
  const removed = unlink(dir, name);
  return removed < 0 ? removed : makeNode(dir, FILE_WHITEOUT_PREFIX + name, FILE_MODE, 0);
}

/** The directories say that they hold marked files before the first is in them. */
function layMarked(marks: Marks, [root, dir]: readonly [number, number], name: ByteString): Errno {
  let status = makeNode(dir, name, FILE_MODE, 0);
  for (const directory of [root, dir]) {
    if (status >= 0) status = setXattr(directory, '.', marks.opaque, MARKED_WHITEOUTS);
  }
  return status < 0 ? status : setXattr(dir, name, marks.whiteout, YES);
}
