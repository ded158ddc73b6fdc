// SPDX-License-Identifier: MIT
/**
 * Whiteouts that have the name they hide: a device, or a marked file in a directory that says
 * that it holds such files (upper-probe.ts). The kernel looks for the files in lower layers
 * alone, and only where a layer's root says that it has any (ovl_path_check_xwhiteouts_xattr,
 * fs/overlayfs/util.c), so the upper's root says so from the first one on.
 */
import type { ByteString } from '../../base/bytes.js';
import { EEXIST, type Errno } from '../../base/errno.js';
import { RENAME_EXCHANGE, rename } from '../../sys/entries.js';
import { Stat, statAt } from '../../sys/stat.js';
import { getXattr, xattrIs } from '../../sys/xattrs.js';
import { asOwner, setMark } from '../formats/as-owner.js';
import { isWhiteout, MARKED_WHITEOUTS, type Marks } from '../formats/marks.js';
import type { RealDirectory } from '../layers/layer.js';
import { gone, type Union } from '../nodes/union.js';

/** Whether what was found is a whiteout: a device or, where the directory says so, a marked file. */
export function hides(union: Union, real: RealDirectory, fd: number, name: ByteString, stat: Stat): boolean {
  return isWhiteoutIn({ marks: union.marks, holdsMarked: real.xattrWhiteouts }, fd, name, stat);
}

/** Whether a file in a directory that holds such is one; its value says nothing (ovl_path_check_xwhiteout_xattr). */
function isMarkedWhiteout(marks: Marks, fd: number, name: ByteString, stat: Stat): boolean {
  return stat.isRegular && stat.size === 0 && typeof getXattr(fd, name, marks.whiteout) !== 'number';
}

/** Whether a directory says that marked files in it are whiteouts. */
export function holdsMarkedWhiteouts(marks: Marks, dir: number, name: ByteString): boolean {
  return xattrIs(dir, name, marks.opaque, 'x');
}

/** Whiteouts in a directory of a layer that is read by itself; `holdsMarked` is what `holdsMarkedWhiteouts` says of it. */
export function isWhiteoutIn(
  { marks, holdsMarked }: { marks: Marks; holdsMarked: boolean },
  fd: number,
  name: ByteString,
  stat: Stat,
): boolean {
  return isWhiteout(stat) || (holdsMarked && isMarkedWhiteout(marks, fd, name, stat));
}

const present = new Stat();

/** Whether the upper has a whiteout of that name. Answers 0 for yes, -EEXIST for anything else there. */
export function requireWhiteout(union: Union, real: RealDirectory, name: ByteString): Errno {
  const dir = union.directories.of(real);
  const status = dir < 0 ? dir : statAt(dir, name, present);
  if (status < 0) return gone(status);
  return hides(union, real, dir, name, present) ? 0 : -EEXIST;
}

/** Makes a whiteout where the upper has nothing of that name. Answers 0 or a negated errno. */
export function makeWhiteout(union: Union, real: RealDirectory, name: ByteString): Errno {
  const status = prepare(union, real);
  const dir = status < 0 ? status : union.directories.of(real);
  return dir < 0 ? gone(dir) : union.work!.makeWhiteout(dir, name);
}

/** Makes a whiteout ready in the work directory that is to come to a directory of the upper. Answers 0 or a negated errno. */
export function stageWhiteout(union: Union, real: RealDirectory, staged: ByteString): Errno {
  const status = prepare(union, real);
  return status < 0 ? status : union.work!.makeWhiteout(union.work!.fd, staged);
}

/** Puts a whiteout in the place of what the upper has there, in one step; what was there goes. */
export function coverWithWhiteout(
  union: Union,
  real: RealDirectory,
  name: ByteString,
  isDirectory: boolean,
): Errno {
  const work = union.work!;
  const staged = work.temporaryName();
  let status = stageWhiteout(union, real, staged);
  if (status < 0) return status;
  const dir = union.directories.of(real);
  if (dir < 0) return gone(dir);
  status = isDirectory
    ? asOwner(dir, name, () => rename(work.fd, staged, dir, name, RENAME_EXCHANGE))
    : rename(work.fd, staged, dir, name);
  if (status < 0) {
    work.discard(staged);
    return status;
  }
  return isDirectory ? work.discardTree(staged) : 0;
}

function prepare(union: Union, real: RealDirectory): Errno {
  return union.work!.ways.form === 'attribute' ? announceWhiteouts(union, real) : 0;
}

/** A directory says that it holds marked files before the first is in it. */
export function announceWhiteouts(union: Union, real: RealDirectory): Errno {
  for (const directory of [union.upper!.root, real]) {
    if (directory.xattrWhiteouts) continue;
    const fd = union.directories.of(directory);
    if (fd < 0) return gone(fd);
    const status = setMark(fd, '.', union.marks.opaque, MARKED_WHITEOUTS);
    if (status < 0) return status;
    directory.xattrWhiteouts = true;
  }
  return 0;
}
