// SPDX-License-Identifier: MIT
/**
 * Whether `.wh.` files of a layer are whiteouts or files like others. An upper into which the
 * kernel's whiteouts are written says so by a mark at its root, before a program can make such a
 * name; it counts there, and wherever the upper is a lower layer later. Of a layer without the
 * mark nobody can tell, so the files hide.
 */
import { type ByteString, joinPath } from '../../base/bytes.js';
import { ENODATA, ENOTDIR, EOPNOTSUPP } from '../../base/errno.js';
import { check, OverlayError } from '../../base/errors.js';
import { DT_DIR, DT_UNKNOWN, listDirectory } from '../../sys/entries.js';
import { close, O_DIRECTORY, O_NOFOLLOW, O_RDONLY, openBeneath } from '../../sys/files.js';
import { removeXattr, setXattr, xattrIs } from '../../sys/xattrs.js';
import type { Marks } from '../formats/marks.js';
import { isFileOfFormat } from '../formats/whiteout-names.js';
import type { Whiteouts } from './features.js';
import type { Layer } from './layer.js';
import type { WhiteoutForm } from './upper-probe.js';

/** The kernel's. */
const KERNEL = 'k';

/** Of a layer that is only read. */
export function mayHoldFileWhiteouts(whiteouts: Whiteouts, marks: Marks, { fd }: Layer): boolean {
  return whiteouts !== 'overlay' && !xattrIs(fd, '.', marks.whiteouts, KERNEL);
}

/** Says of an upper that its whiteouts are the kernel's. Throws an OverlayError. */
export function markKernelFormat(fd: number, marks: Marks, path: string): void {
  check(setXattr(fd, '.', marks.whiteouts, Buffer.from(KERNEL)), { operation: 'mark upper directory', path });
}

/**
 * The same of an upper that is about to be written; one that has no mark yet is looked through
 * once. Throws an OverlayError for one whose names would be taken for whiteouts from now on.
 */
export function settleUpper(whiteouts: Whiteouts, form: WhiteoutForm, marks: Marks, upper: Layer): boolean {
  const isMarked = xattrIs(upper.fd, '.', marks.whiteouts, KERNEL);
  if (form !== 'file') {
    if (isMarked) return false;
    if (whiteouts !== 'overlay' && hasFilesOfFormat(upper)) return true;
    markKernelFormat(upper.fd, marks, upper.path);
    return false;
  }
  if (!isMarked) return true;
  if (hasFilesOfFormat(upper)) {
    throw new OverlayError({
      operation: 'use upper directory',
      path: upper.path,
      errno: EOPNOTSUPP,
      reason: 'it holds files whose names begin with .wh., which would become whiteouts',
      remedy: 'leave out whiteout=aufs',
    });
  }
  const removed = removeXattr(upper.fd, '.', marks.whiteouts);
  if (removed !== -ENODATA) check(removed, { operation: 'mark upper directory', path: upper.path });
  return true;
}

function hasFilesOfFormat({ fd: root, path: layer }: Layer): boolean {
  const pending: ByteString[] = ['.'];
  for (let path = pending.pop(); path !== undefined; path = pending.pop()) {
    const story = { operation: 'look through upper directory', path, layer };
    const fd = openBeneath(root, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    if (fd === -ENOTDIR) continue;
    check(fd, story);
    let found = false;
    const here = path;
    const status = listDirectory(fd, (name, type) => {
      found = isFileOfFormat(name);
      if (type === DT_DIR || type === DT_UNKNOWN) pending.push(here === '.' ? name : joinPath(here, name));
      return !found;
    });
    close(fd);
    if (found) return true;
    check(status, story);
  }
  return false;
}
