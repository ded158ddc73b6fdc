// SPDX-License-Identifier: MIT
/** A copy-up's first half: the object is put together in the work directory, where nobody sees it. */
import type { ByteString } from '../../base/bytes.js';
import { EOPNOTSUPP, EPERM, type Errno } from '../../base/errno.js';
import {
  changeTimes,
  deviceNumber,
  makeDirectory,
  makeNode,
  makeSymlink,
  readLink,
} from '../../sys/entries.js';
import { close, O_CREAT, O_EXCL, O_RDONLY, O_RDWR, openAt, syncFile, truncate } from '../../sys/files.js';
import { S_IFDIR, S_IFLNK, S_IFREG, type Stat } from '../../sys/stat.js';
import { getXattr, listXattrs, setXattr } from '../../sys/xattrs.js';
import { encodeOrigin } from '../formats/origin.js';
import { isOverride } from '../formats/override-stat.js';
import type { FileNode, OverlayNode } from '../nodes/node.js';
import type { Place, Union } from '../nodes/union.js';
import { copyFileData, shareFileData } from './copy-data.js';
import { MOST_LAZY, SMALLEST_LAZY } from './lazy-copy.js';
import { markMetacopy } from './metacopy-data.js';
import { plainMode, setOwnership } from './ownership.js';

/** In the place of a size: the caller changes no data, so that metadata will do where the union has metacopies. */
export const METADATA = -1;
/** In the place of a size: the caller writes, and knows how to do so while the copy is in flight. */
export const LAZY = -2;
/** What `stage` answers for an object without its data. */
export const METADATA_ONLY = 1;

/** Makes the object with its content in the work directory. Answers 0, METADATA_ONLY or a negated errno. */
export function stage(
  union: Union,
  node: OverlayNode,
  source: Place,
  stat: Stat,
  staged: ByteString,
  size: number,
): Errno {
  const dir = union.work!.fd;
  switch (stat.type) {
    case S_IFREG:
      return stageFile(union, node as FileNode, stat, staged, size);
    case S_IFDIR:
      return makeDirectory(dir, staged, 0o700);
    case S_IFLNK: {
      const target = readLink(source.fd, source.name);
      return typeof target === 'number' ? target : makeSymlink(dir, staged, target);
    }
    default:
      return makeNode(
        dir,
        staged,
        plainMode(union, stat.mode) ?? stat.type | 0o600,
        deviceNumber(stat.deviceMajor, stat.deviceMinor),
      );
  }
}

/** Whether metadata alone is copied (ovl_need_meta_copy_up). */
function isMetacopied(union: Union, node: FileNode, stat: Stat, size: number): boolean {
  if (size === METADATA) return union.features.metacopy;
  // A file in the index, or without a name, has no path by which the list could find it again.
  const isListable = node.indexed === null && node.names.length > 0;
  const isWorthIt = stat.size >= SMALLEST_LAZY && union.lazy.size < MOST_LAZY;
  return size === LAZY && union.features.lazyCopyUp && isListable && isWorthIt;
}

function stageFile(union: Union, node: FileNode, stat: Stat, staged: ByteString, size: number): Errno {
  const to = openAt(union.work!.fd, staged, O_RDWR | O_CREAT | O_EXCL, 0o600);
  if (to < 0) return to;
  const source: Place = { fd: -1, name: '' };
  let status = union.locateData(node, source);
  if (status < 0) {
    close(to);
    return status;
  }
  if (isMetacopied(union, node, stat, size) && !(size === LAZY && shareFileData(source, to))) {
    status = markMetacopy(union, staged);
    if (status >= 0) status = truncate(to, stat.size);
    if (status >= 0) status = METADATA_ONLY;
  } else {
    status = copyFileData(source, to, size < 0 ? Number.POSITIVE_INFINITY : size);
    // With metacopies the data alone; else all of it, once it is whole (syncStaged).
    if (status >= 0 && union.features.sync && union.features.metacopy) status = syncFile(to);
  }
  close(to);
  return status;
}

/** Owner before mode and attributes: a change of owner clears setuid bits and capabilities. */
export function finishStaged(
  union: Union,
  node: OverlayNode,
  source: Place,
  stat: Stat,
  staged: ByteString,
  keepsIdentity: boolean,
): Errno {
  const dir = union.work!.fd;
  let status = setOwnership(union, dir, staged, stat);
  if (status >= 0) status = copyXattrs(union, source, staged);
  if (status >= 0 && keepsIdentity) status = markOrigin(union, node, source, staged);
  if (status >= 0) status = changeTimes(dir, staged, stat);
  return status < 0 ? status : syncStaged(union, staged, stat);
}

/**
 * What is about to be renamed to its place is on disk by then, data, owner, mode and attributes, so
 * that no power cut leaves a part of it under its name. Where metadata alone is copied up that would
 * cost what metacopies are for, and the data alone is (metadata_fsync in fs/overlayfs/copy_up.c).
 */
function syncStaged(union: Union, staged: ByteString, stat: Stat): Errno {
  const { sync, metacopy } = union.features;
  if (!sync || metacopy || (!stat.isRegular && !stat.isDirectory)) return 0;
  const fd = openAt(union.work!.fd, staged, O_RDONLY);
  if (fd < 0) return fd;
  const status = syncFile(fd);
  close(fd);
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
    if (union.marks.isOwn(name) || isOverride(name)) continue;
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
