// SPDX-License-Identifier: MIT
/** Attributes of nodes: what stat shows, and chmod, chown, utimens, truncate. */
import { EINVAL, EISDIR, EOPNOTSUPP, type Errno } from '../base/errno.js';
import { changeMode, changeOwner, changeTimes, type Times, UTIME_OMIT } from '../sys/entries.js';
import { truncate } from '../sys/files.js';
import { S_IFLNK, S_IFREG, type Stat, statAt, statFd } from '../sys/stat.js';
import { copyUp } from './copy-up.js';
import { openData } from './data.js';
import type { DirectoryNode, FileNode, OverlayNode } from './node.js';
import { gone, type Union } from './union.js';

export const S_ISUID = 0o4000;
export const S_ISGID = 0o2000;
const S_IXGRP = 0o010;
const UNCHANGED = 0xffffffff;

/** What to change; a field at its initial value is left as it is. */
export class AttributeChange implements Times {
  mode = -1;
  uid = UNCHANGED;
  gid = UNCHANGED;
  /** In bytes. */
  size = -1;
  accessSeconds = 0;
  accessNanoseconds = UTIME_OMIT;
  modifySeconds = 0;
  modifyNanoseconds = UTIME_OMIT;
  /** Clear setuid and setgid as a write by an unprivileged user does. */
  killPrivileges = false;
}

/** Attributes as the merged view shows them. Answers 0 or a negated errno. */
export function getAttributes(union: Union, node: OverlayNode, out: Stat): Errno {
  return node.isDirectory() ? directoryAttributes(union, node, out) : fileAttributes(union, node, out);
}

function directoryAttributes(union: Union, node: DirectoryNode, out: Stat): Errno {
  const fd = union.directories.of(node.upper ?? node.lowers[0]);
  const status = fd < 0 ? fd : statFd(fd, out);
  if (status < 0) return gone(status);
  out.inodeLow = node.inodeLow;
  out.inodeHigh = node.inodeHigh;
  if (node.dead) out.linkCount = 0;
  // Nobody has counted the subdirectories of a merge; 1 tells tools not to rely on it (ovl_getattr).
  else if (node.lowers.length + (node.upper === null ? 0 : 1) > 1) out.linkCount = 1;
  return 0;
}

function fileAttributes(union: Union, node: FileNode, out: Stat): Errno {
  const { place } = union;
  const located = union.locate(node, place);
  if (located < 0) return located;
  const status = statAt(place.fd, place.name, out);
  if (status < 0) return gone(status);
  out.inodeLow = node.inodeLow;
  out.inodeHigh = node.inodeHigh;
  if (node.orphan !== null) out.linkCount--;
  else if (node.names.length === 0) out.linkCount = 0;
  return 0;
}

/** Applies a change; copies the node up first. Answers 0 or a negated errno. */
export function setAttributes(union: Union, node: OverlayNode, change: AttributeChange): Errno {
  if (change.size >= 0 && node.type !== S_IFREG) return node.isDirectory() ? -EISDIR : -EINVAL;
  if (change.mode >= 0 && node.type === S_IFLNK) return -EOPNOTSUPP;
  const copied = copyUp(union, node, change.size >= 0 ? change.size : undefined);
  if (copied < 0) return copied;
  if (change.size >= 0) {
    const status = resize(union, node as FileNode, change);
    if (status < 0) return status;
  }
  return applyChange(union, node, change);
}

/** Owner before mode, because a change of owner clears setuid bits; times last. Precondition: the node is in the upper. */
function applyChange(union: Union, node: OverlayNode, change: AttributeChange): Errno {
  const { place } = union;
  let status = union.locate(node, place);
  if (status === 0 && (change.uid !== UNCHANGED || change.gid !== UNCHANGED)) {
    status = changeOwner(place.fd, place.name, change.uid, change.gid);
  }
  if (status === 0 && change.mode >= 0) status = changeMode(place.fd, place.name, change.mode & 0o7777);
  const hasTimes = change.accessNanoseconds !== UTIME_OMIT || change.modifyNanoseconds !== UTIME_OMIT;
  if (status === 0 && hasTimes) status = changeTimes(place.fd, place.name, change);
  return gone(status);
}

function resize(union: Union, node: FileNode, change: AttributeChange): Errno {
  const fd = openData(union, node, true);
  if (fd < 0) return fd;
  const status = truncate(fd, change.size);
  return status < 0 || !change.killPrivileges ? status : killPrivileges(union, node);
}

/** Clears setuid, and setgid where the group may execute (setattr_should_drop_sgid). */
export function killPrivileges(union: Union, node: FileNode): Errno {
  const { place, stat } = union;
  const located = union.locate(node, place);
  if (located < 0) return located;
  const found = statAt(place.fd, place.name, stat);
  if (found < 0) return gone(found);
  let mode = stat.mode & 0o7777 & ~S_ISUID;
  if ((mode & S_IXGRP) !== 0) mode &= ~S_ISGID;
  return mode === (stat.mode & 0o7777) ? 0 : changeMode(place.fd, place.name, mode);
}
