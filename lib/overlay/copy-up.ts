// SPDX-License-Identifier: MIT
/**
 * Copy-up: a lower object is made again in the upper, so that it can be changed.
 *
 * It is put together in the work directory under a temporary name (data, owner,
 * mode, attributes, origin, times) and then renamed to its place: it is there
 * whole or not at all, also after a kill (ovl_copy_up_workdir in
 * fs/overlayfs/copy_up.c). Parents come first. The parent's times stay what they
 * were, because for the user nothing happened in it.
 */
import type { ByteString } from '../base/bytes.js';
import { EOPNOTSUPP, EPERM, EROFS, type Errno } from '../base/errno.js';
import { Rollback } from '../base/rollback.js';
import {
  changeMode,
  changeOwner,
  changeTimes,
  deviceNumber,
  makeDirectory,
  makeNode,
  makeSymlink,
  readLink,
  rename,
} from '../sys/entries.js';
import { close, O_CREAT, O_EXCL, O_NOATIME, O_RDONLY, O_RDWR, openAt, syncFile } from '../sys/files.js';
import { S_IFDIR, S_IFLNK, S_IFREG, Stat, statAt } from '../sys/stat.js';
import { getXattr, listXattrs, setXattr } from '../sys/xattrs.js';
import { copyData } from './copy-data.js';
import { isImpure } from './lookup.js';
import { YES } from './marks.js';
import type { DirectoryNode, FileNode, OverlayNode } from './node.js';
import { encodeOrigin } from './origin.js';
import { RealDirectory } from './real.js';
import { gone, type Place, type Union } from './union.js';

export function isInUpper(node: OverlayNode): boolean {
  return node.isDirectory() ? node.upper !== null : node.inUpper || node.orphan !== null;
}

/**
 * Brings a node and its parents into the upper. `size` is what the caller will
 * truncate the file to: data beyond it is not copied. Answers 0 or a negated errno.
 */
export function copyUp(union: Union, node: OverlayNode, size = Number.POSITIVE_INFINITY): Errno {
  if (isInUpper(node)) return 0;
  if (!union.writable) return -EROFS;
  const missing: OverlayNode[] = [node];
  for (let parent = node.parent; parent !== null && !isInUpper(parent); parent = parent.parent) {
    missing.push(parent);
  }
  for (let next = missing.pop(); next !== undefined; next = missing.pop()) {
    const status = copyUpOne(union, next, size);
    if (status < 0) return status;
  }
  return 0;
}

/** Precondition: the parent is in the upper, or the node has no name any more. */
function copyUpOne(union: Union, node: OverlayNode, size: number): Errno {
  const work = union.work!;
  const source: Place = { fd: -1, name: '' };
  const located = union.locate(node, source);
  if (located < 0) return located;
  const stat = new Stat();
  const found = statAt(source.fd, source.name, stat);
  if (found < 0) return gone(found);

  using undo = new Rollback();
  const staged = work.temporaryName();
  undo.push(() => void (node.isDirectory() ? work.discardTree(staged) : work.discard(staged)));
  const status = stage(union, source, stat, staged, size);
  if (status < 0) return status;
  // Without an index a lower hard link is broken by its copy-up, so its number is not carried over either.
  const keepsIdentity = node.isDirectory() || stat.linkCount === 1;
  const finished = finishStaged(union, node, source, stat, staged, keepsIdentity);
  if (finished < 0) return finished;
  const committed = commit(union, node, staged);
  if (committed < 0) return committed;
  undo.commit();
  return keepsIdentity ? 0 : takeUpperInode(union, node as FileNode);
}

/** Makes the object with its content in the work directory. */
function stage(union: Union, source: Place, stat: Stat, staged: ByteString, size: number): Errno {
  const dir = union.work!.fd;
  switch (stat.type) {
    case S_IFREG:
      return stageFile(union, source, stat, staged, size);
    case S_IFDIR:
      return makeDirectory(dir, staged, 0o700);
    case S_IFLNK: {
      const target = readLink(source.fd, source.name);
      return typeof target === 'number' ? target : makeSymlink(dir, staged, target);
    }
    default:
      return makeNode(dir, staged, stat.type | 0o600, deviceNumber(stat.deviceMajor, stat.deviceMinor));
  }
}

function stageFile(union: Union, source: Place, stat: Stat, staged: ByteString, size: number): Errno {
  let from = openAt(source.fd, source.name, O_RDONLY | O_NOATIME);
  // O_NOATIME is for the owner and for CAP_FOWNER only.
  if (from === -EPERM) from = openAt(source.fd, source.name, O_RDONLY);
  if (from < 0) return gone(from);
  const to = openAt(union.work!.fd, staged, O_RDWR | O_CREAT | O_EXCL, 0o600);
  if (to < 0) {
    close(from);
    return to;
  }
  let status = copyData({
    from,
    to,
    size: Math.min(size, stat.size),
    sourceSize: stat.size,
    sparse: stat.blocks * 512 < stat.size,
  });
  if (status >= 0 && !union.features.volatile) status = syncFile(to);
  close(from);
  close(to);
  return status;
}

/** Owner before mode and attributes: a change of owner clears setuid bits and capabilities. */
function finishStaged(
  union: Union,
  node: OverlayNode,
  source: Place,
  stat: Stat,
  staged: ByteString,
  keepsIdentity: boolean,
): Errno {
  const dir = union.work!.fd;
  let status = changeOwner(dir, staged, stat.uid, stat.gid);
  if (status >= 0 && stat.type !== S_IFLNK) status = changeMode(dir, staged, stat.mode & 0o7777);
  if (status >= 0) status = copyXattrs(union, source, staged);
  if (status >= 0 && keepsIdentity) status = markOrigin(union, node, source, staged);
  if (status >= 0) status = changeTimes(dir, staged, stat);
  return status;
}

/** Attributes that a file is not itself without (ovl_must_copy_xattr); of others EOPNOTSUPP is tolerated. */
function mustCopy(name: ByteString): boolean {
  return name.startsWith('security.') || name.startsWith('system.posix_acl_');
}

export function copyXattrs(union: Union, source: Place, staged: ByteString): Errno {
  const names = listXattrs(source.fd, source.name);
  if (names === -EOPNOTSUPP) return 0;
  if (typeof names === 'number') return names;
  for (const name of names) {
    if (union.marks.isOwn(name)) continue;
    const value = getXattr(source.fd, source.name, name);
    if (typeof value === 'number') return value;
    const status = setXattr(union.work!.fd, staged, name, value);
    if (status < 0 && (status !== -EOPNOTSUPP || mustCopy(name))) return status;
  }
  return 0;
}

function markOrigin(union: Union, node: OverlayNode, source: Place, staged: ByteString): Errno {
  const layer = node.isDirectory() ? node.lowers[0].layer : node.lower!.directory.layer;
  const mark = encodeOrigin(layer, source.fd, node.isDirectory() ? '' : source.name);
  const status = setXattr(union.work!.fd, staged, union.marks.origin, mark);
  // user.* attributes exist on files and directories only: a symlink there goes without.
  return status === -EPERM || status === -EOPNOTSUPP ? 0 : status;
}

/** Marks a directory of the upper as holding objects with an origin (ovl_set_impure). */
export function setImpure(union: Union, directory: DirectoryNode): Errno {
  if (isImpure(union, directory)) return 0;
  const status = setXattr(union.directories.of(directory.upper!), '.', union.marks.impure, YES);
  if (status === 0) directory.impure = true;
  return status;
}

function commit(union: Union, node: OverlayNode, staged: ByteString): Errno {
  const parent = node.parent;
  if (parent === null) {
    (node as FileNode).orphan = staged;
    union.files.forget(node as FileNode);
    return 0;
  }
  const marked = setImpure(union, parent);
  if (marked < 0) return marked;
  const status = renameKeepingTimes(union, parent, staged, node.name);
  if (status < 0) return status;
  for (const entry of node.names) {
    entry.places = null;
    entry.below = true;
  }
  if (node.isDirectory()) {
    node.upper = new RealDirectory(union.upper!, parent.upper, node.name);
    node.impure = false;
  } else {
    node.inUpper = true;
    node.lower = null;
    union.files.forget(node);
  }
  return 0;
}

function renameKeepingTimes(
  union: Union,
  parent: DirectoryNode,
  staged: ByteString,
  name: ByteString,
): Errno {
  const dir = union.directories.of(parent.upper!);
  if (dir < 0) return gone(dir);
  const before = statAt(dir, '.', union.stat);
  if (before < 0) return gone(before);
  const status = rename(union.work!.fd, staged, dir, name);
  return status < 0 ? status : changeTimes(dir, '.', union.stat);
}

function takeUpperInode(union: Union, node: FileNode): Errno {
  const { place, stat, numbers } = union;
  const located = union.locate(node, place);
  if (located < 0) return located;
  const status = statAt(place.fd, place.name, stat);
  if (status < 0) return status;
  numbers.compute(stat.fileSystem, stat.inodeLow, stat.inodeHigh);
  node.inodeLow = numbers.low;
  node.inodeHigh = numbers.high;
  return 0;
}
