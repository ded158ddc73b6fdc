// SPDX-License-Identifier: MIT
/**
 * Directories that a layer's archive only passes through: it has what changed in
 * them and no entry for themselves. In the merged view such a directory must look
 * as it does below, but a layer on disk cannot leave a directory's attributes open,
 * so they are taken from the layers below before the new one gets its name.
 */
import { type ByteString, fromText, toText } from '../../base/bytes.js';
import { ELOOP, ENOENT, ENOTDIR } from '../../base/errno.js';
import { check } from '../../base/errors.js';
import { Marks } from '../../overlay/formats/marks.js';
import { changeMode, changeOwner, changeTimes } from '../../sys/entries.js';
import {
  close,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_PATH,
  O_RDONLY,
  openAt,
  openBeneath,
  openPath,
} from '../../sys/files.js';
import { Stat, statAt, statFd } from '../../sys/stat.js';
import { getXattr, listXattrs, setXattr, xattrIs } from '../../sys/xattrs.js';
import { OPAQUE_FILE } from './layer-whiteouts.js';

const DIRECTORY = O_PATH | O_DIRECTORY | O_NOFOLLOW;
/** Layers of one store may have been unpacked by root and by others. */
const OPAQUE = [new Marks(false).opaque, new Marks(true).opaque];
/** Marks of a directory speak of its own layer. */
const MARK = /^(trusted|user)\.overlay\./;

function openIn(root: number, path: ByteString): number {
  return path === '' ? openAt(root, '.', DIRECTORY) : openBeneath(root, path, DIRECTORY);
}

function copyAttributes(from: number, to: number, path: ByteString): void {
  const story = { operation: 'set the attributes of', path: toText(path) };
  const stat = new Stat();
  check(statFd(from, stat), story);
  check(changeOwner(to, '.', stat.uid, stat.gid), story);
  check(changeMode(to, '.', stat.mode & 0o7777), story);
  const names = listXattrs(from, '.');
  for (const name of typeof names === 'number' ? [] : names.filter((other) => !MARK.test(other))) {
    const value = getXattr(from, '.', name);
    if (typeof value !== 'number') check(setXattr(to, '.', name, value), story);
  }
  const { modifySeconds, modifyNanoseconds } = stat;
  check(changeTimes(to, '.', timesOf(modifySeconds, modifyNanoseconds)), story);
}

function timesOf(seconds: number, nanoseconds: number): Parameters<typeof changeTimes>[2] {
  return {
    accessSeconds: seconds,
    accessNanoseconds: nanoseconds,
    modifySeconds: seconds,
    modifyNanoseconds: nanoseconds,
  };
}

/**
 * Gives implied directories of the layer at `root` the attributes that they have
 * below; one that is new keeps what it was made with, and a time of 0, so that it
 * is the same each time. `lowers` are directories, top first. Throws an OverlayError.
 */
export function adoptAttributes(
  root: number,
  implied: readonly ByteString[],
  lowers: readonly string[],
): void {
  const roots: number[] = [];
  try {
    for (const path of lowers) {
      roots.push(check(openPath(fromText(path), O_RDONLY | O_DIRECTORY), { operation: 'open', path }));
    }
    // What lies deeper comes first: setting it would change nothing above, but making it did.
    for (const path of [...implied].sort((a, b) => b.length - a.length)) adopt(root, path, roots);
  } finally {
    for (const fd of roots) close(fd);
  }
}

/** Whether a layer hides a path of those below it by an opaque directory above the path. */
function isHidden(lower: number, path: ByteString): boolean {
  for (let above = path; above !== ''; ) {
    above = above.slice(0, Math.max(0, above.lastIndexOf('/')));
    const fd = openIn(lower, above);
    if (fd < 0) continue;
    const isOpaque = OPAQUE.some((mark) => xattrIs(fd, '.', mark, 'y')) || hasFile(fd, OPAQUE_FILE);
    close(fd);
    if (isOpaque) return true;
  }
  return false;
}

function hasFile(directory: number, name: ByteString): boolean {
  return statAt(directory, name, new Stat()) === 0;
}

function adopt(root: number, path: ByteString, lowers: readonly number[]): void {
  const own = check(openIn(root, path), { operation: 'open', path: toText(path) });
  try {
    for (const lower of lowers) {
      const below = openIn(lower, path);
      if (below === -ENOENT && !isHidden(lower, path)) continue;
      // A file, a symlink, a whiteout or an opaque directory ends the search: the directory is new above it.
      if (below === -ENOENT || below === -ENOTDIR || below === -ELOOP) break;
      check(below, { operation: 'open', path: toText(path) });
      copyAttributes(below, own, path);
      close(below);
      return;
    }
    check(changeTimes(own, '.', timesOf(0, 0)), { operation: 'set the times of', path: toText(path) });
  } finally {
    close(own);
  }
}
