// SPDX-License-Identifier: MIT
/**
 * What a mode refuses even to the file's owner, for a server that may not pass over modes (CAP_DAC_OVERRIDE): an
 * ordinary user's without a user namespace. Whoever asks has been judged by then, and rights count when a file is
 * opened: one who has it open writes on after chmod 0400, or made it so. The owner may change the mode, so it is
 * widened for the one call. A kill in between leaves it so, to the owner alone.
 */
import type { ByteString } from '../../base/bytes.js';
import { EACCES, type Errno } from '../../base/errno.js';
import { changeModeOf, rename } from '../../sys/entries.js';
import { close, O_NOFOLLOW, O_PATH, openAt } from '../../sys/files.js';
import { S_IFLNK, Stat, statFd } from '../../sys/stat.js';
import { setXattr } from '../../sys/xattrs.js';

const ALL_OF_OWNER = 0o700;
const S_ISGID = 0o2000;

/** Carries out one call on an object of the upper or the work directory; answers what it answers. */
export function asOwner(dir: number, name: ByteString, act: () => number): number {
  const status = act();
  if (status !== -EACCES) return status;
  // Of the directory itself: `.` would have to be searched for.
  const fd = name === '.' ? dir : openAt(dir, name, O_PATH | O_NOFOLLOW);
  if (fd < 0) return status;
  const widened = actWidened(fd, act);
  if (name !== '.') close(fd);
  return widened;
}

function actWidened(fd: number, act: () => number): number {
  const stat = new Stat();
  if (statFd(fd, stat) < 0 || stat.type === S_IFLNK) return -EACCES;
  const mode = stat.mode & 0o7777;
  // chmod(2) takes setgid from who is not in the group, so it could not be given back (setattr_prepare).
  const cannot = (mode & ALL_OF_OWNER) === ALL_OF_OWNER || (mode & S_ISGID) !== 0;
  if (cannot || changeModeOf(fd, mode | ALL_OF_OWNER) < 0) return -EACCES;
  const status = act();
  const restored = changeModeOf(fd, mode);
  return status < 0 ? status : restored < 0 ? restored : status;
}

/** setxattr(2): attributes of users ask for the right to write (xattr_permission in fs/xattr.c). */
export function setMark(dir: number, name: ByteString, attribute: ByteString, value: Uint8Array): Errno {
  return asOwner(dir, name, () => setXattr(dir, name, attribute, value));
}

/** rename(2): a directory that gets another parent has to be writable itself (vfs_rename in fs/namei.c). */
export function moveAsOwner(
  fromDir: number,
  fromName: ByteString,
  toDir: number,
  toName: ByteString,
  flags = 0,
): Errno {
  return asOwner(fromDir, fromName, () => rename(fromDir, fromName, toDir, toName, flags));
}
