// SPDX-License-Identifier: MIT
/**
 * Owner, group and mode of what lies in the upper and the work directory: as the
 * file system has them or, in a union that keeps them in an attribute
 * (xattr_permissions), there; then every file is the server's own, and device files
 * are plain files that the attribute calls devices.
 */
import type { ByteString } from '../../base/bytes.js';
import { EOPNOTSUPP, EPERM, type Errno } from '../../base/errno.js';
import { changeMode, changeOwner } from '../../sys/entries.js';
import { S_IFDIR, S_IFLNK, S_IFMT, S_IFREG, Stat, statAt } from '../../sys/stat.js';
import { setXattr } from '../../sys/xattrs.js';
import { applyOverride, encodeOverride, type Stated } from '../formats/override-stat.js';
import { NO_ID } from '../layers/id-mapping.js';
import { gone, type Union } from '../nodes/union.js';
import type { Creator } from './credentials.js';

export const S_ISUID = 0o4000;
export const S_ISGID = 0o2000;
export const S_IXGRP = 0o010;
/** What the files of such an upper have on disk (fuse-overlayfs, main.c, create_missing_whiteouts and its kin). */
const PLAIN_MODE = 0o755;

function override(union: Union): ByteString | null {
  return union.upper?.override ?? null;
}

function write(union: Union, dir: number, name: ByteString, stated: Stated): Errno {
  const status = setXattr(dir, name, override(union)!, encodeOverride(stated));
  // user.* attributes exist on files and directories only: a symlink stays the server's.
  const tolerated = (stated.mode & S_IFMT) === S_IFLNK && (status === -EPERM || status === -EOPNOTSUPP);
  return tolerated ? 0 : status;
}

/** Gives an object owner, group and mode. Owner first, because a change of owner clears setuid bits. */
export function setOwnership(union: Union, dir: number, name: ByteString, stated: Stated): Errno {
  if (override(union) !== null) return write(union, dir, name, stated);
  const status = changeOwner(dir, name, stated.uid, stated.gid);
  if (status < 0 || (stated.mode & S_IFMT) === S_IFLNK) return status;
  return changeMode(dir, name, stated.mode & 0o7777);
}

/** Reads an object of the upper as it is meant. Answers 0 or a negated errno. */
export function statUpper(union: Union, dir: number, name: ByteString, out: Stat): Errno {
  const status = statAt(dir, name, out);
  const attribute = override(union);
  if (status === 0 && attribute !== null) applyOverride(attribute, dir, name, out);
  return status;
}

/** Changes some of them; NO_ID and a mode of -1 leave it as it is. */
export function changeOwnership(
  union: Union,
  dir: number,
  name: ByteString,
  change: { uid: number; gid: number; mode: number },
): Errno {
  const { uid, gid, mode } = change;
  const chowns = uid !== NO_ID || gid !== NO_ID;
  if (override(union) === null) {
    const status = chowns ? changeOwner(dir, name, uid, gid) : 0;
    return status < 0 || mode < 0 ? status : changeMode(dir, name, mode & 0o7777);
  }
  if (!chowns && mode < 0) return 0;
  const stat = new Stat();
  const found = statUpper(union, dir, name, stat);
  if (found < 0) return gone(found);
  if (chowns && !stat.isDirectory) stat.mode = withoutPrivileges(stat.mode);
  if (uid !== NO_ID) stat.uid = uid;
  if (gid !== NO_ID) stat.gid = gid;
  if (mode >= 0) stat.mode = stat.type | (mode & 0o7777);
  return write(union, dir, name, stat);
}

/** Without setuid, and without setgid where the group may execute (setattr_should_drop_sgid). */
export function withoutPrivileges(mode: number): number {
  const plain = mode & ~S_ISUID;
  return (plain & S_IXGRP) === 0 ? plain : plain & ~S_ISGID;
}

/** The mode with which an object is made on disk in such a union; undefined in any other. */
export function plainMode(union: Union, mode: number): number | undefined {
  if (override(union) === null) return undefined;
  const type = mode & S_IFMT;
  return (type === S_IFDIR || type === S_IFLNK ? type : S_IFREG) | PLAIN_MODE;
}

/** Says whose a new object is, with group and setgid bit from its parent as file systems do it (inode_init_owner). */
export function ownNew(
  union: Union,
  parent: number,
  dir: number,
  name: ByteString,
  made: { mode: number; deviceMajor: number; deviceMinor: number; creator: Creator },
): Errno {
  const above = new Stat();
  const found = statUpper(union, parent, '.', above);
  if (found < 0) return gone(found);
  const { ids } = union.features;
  const { uid, gid, umask = 0 } = made.creator;
  const inherits = (above.mode & S_ISGID) !== 0;
  const isDirectory = (made.mode & S_IFMT) === S_IFDIR;
  return write(union, dir, name, {
    uid: ids === null ? uid : ids.users.store(uid),
    gid: inherits ? above.gid : ids === null ? gid : ids.groups.store(gid),
    mode: (made.mode & ~umask) | (inherits && isDirectory ? S_ISGID : 0),
    deviceMajor: made.deviceMajor,
    deviceMinor: made.deviceMinor,
  });
}
