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
import { getXattr, listXattrs } from '../../sys/xattrs.js';
import { asOwner, setMark } from '../formats/as-owner.js';
import { encodeOrigin } from '../formats/origin.js';
import { isOverride } from '../formats/override-stat.js';
import type { FileNode, OverlayNode } from '../nodes/node.js';
import type { Place, Union } from '../nodes/union.js';
import { copyFileData, shareFileData } from './copy-data.js';
import { bytesWanted, type CopyUp } from './extent.js';
import { MOST_LAZY, SMALLEST_LAZY } from './lazy-copy.js';
import { markMetacopy } from './metacopy-data.js';
import { plainMode, setOwnership } from './ownership.js';

/** An object on its way to the upper. */
export interface Staging {
  readonly node: OverlayNode;
  /** Where the object is now, and its attributes there. */
  readonly source: Place;
  readonly stat: Stat;
  /** What it is called in the work directory. */
  readonly staged: ByteString;
}

/** What is staged of a file: all of it, or a metacopy, whose data stays below for good or follows in the background. */
export type Staged = 'whole' | 'metadata' | 'lazy';

/** Makes the object with its content in the work directory. Answers what of it is there, or a negated errno. */
export function stage(union: Union, staging: Staging, extent: CopyUp): Staged | Errno {
  if (staging.stat.type === S_IFREG) return stageFile(union, staging, extent);
  const made = make(union, staging);
  return made < 0 ? made : 'whole';
}

/** Makes anything but a regular file. Answers 0 or a negated errno. */
function make(union: Union, { source, stat, staged }: Staging): Errno {
  const dir = union.work!.fd;
  switch (stat.type) {
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

/** What is to be staged of a file (ovl_need_meta_copy_up). */
function wantedOf(union: Union, { node, stat }: Staging, extent: CopyUp): Staged {
  const { metacopy, lazyCopyUp } = union.features;
  if (extent.kind === 'metadata') return metacopy ? 'metadata' : 'whole';
  if (extent.kind !== 'lazy' || !lazyCopyUp) return 'whole';
  // A file in the index, or without a name, has no path by which the list could find it again.
  const isListable = (node as FileNode).indexed === null && node.names.length > 0;
  return isListable && stat.size >= SMALLEST_LAZY && union.lazy.size < MOST_LAZY ? 'lazy' : 'whole';
}

function stageFile(union: Union, staging: Staging, extent: CopyUp): Staged | Errno {
  const to = openAt(union.work!.fd, staging.staged, O_RDWR | O_CREAT | O_EXCL, 0o600);
  if (to < 0) return to;
  const data: Place = { fd: -1, name: '' };
  const wanted = wantedOf(union, staging, extent);
  let status = union.locateData(staging.node, data);
  const isShared = status >= 0 && wanted === 'lazy' && shareFileData(data, to);
  const content = isShared ? 'whole' : wanted;
  if (status >= 0 && content !== 'whole') status = leaveEmpty(union, staging, to);
  else if (status >= 0) {
    status = isShared ? 0 : copyFileData(data, to, bytesWanted(extent));
    // With metacopies the data alone; else all of it, once it is whole (syncStaged).
    if (status >= 0 && union.features.sync && union.features.metacopy) status = syncFile(to);
  }
  close(to);
  return status < 0 ? status : content;
}

/** Makes an open new file a metacopy, with the size of what it stands for. Answers 0 or a negated errno. */
function leaveEmpty(union: Union, { stat, staged }: Staging, to: number): Errno {
  const status = markMetacopy(union, staged);
  return status < 0 ? status : truncate(to, stat.size);
}

/** Owner before mode and attributes: a change of owner clears setuid bits and capabilities. */
export function finishStaged(union: Union, staging: Staging, keepsIdentity: boolean): Errno {
  const { source, stat, staged } = staging;
  const dir = union.work!.fd;
  let status = setOwnership(union, dir, staged, stat);
  if (status >= 0) status = copyXattrs(union, source, staged);
  if (status >= 0 && keepsIdentity) status = markOrigin(union, staging);
  if (status >= 0) status = changeTimes(dir, staged, stat);
  return status < 0 ? status : syncStaged(union, staging);
}

/**
 * What is about to be renamed to its place is on disk by then, data, owner, mode and attributes, so
 * that no power cut leaves a part of it under its name. Where metadata alone is copied up that would
 * cost what metacopies are for, and the data alone is (metadata_fsync in fs/overlayfs/copy_up.c).
 */
function syncStaged(union: Union, { stat, staged }: Staging): Errno {
  const { sync, metacopy } = union.features;
  if (!sync || metacopy || (!stat.isRegular && !stat.isDirectory)) return 0;
  const fd = asOwner(union.work!.fd, staged, () => openAt(union.work!.fd, staged, O_RDONLY));
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
    const status = setMark(union.work!.fd, staged, name, value);
    if (status < 0 && (status !== -EOPNOTSUPP || mustCopy(name))) return status;
  }
  return 0;
}

function markOrigin(union: Union, { node, source, staged }: Staging): Errno {
  const layer = node.isDirectory() ? node.lowers[0].layer : union.layerOf(node);
  const mark = encodeOrigin(layer, source.fd, node.isDirectory() ? '' : source.name);
  const status = setMark(union.work!.fd, staged, union.marks.origin, mark);
  // user.* attributes exist on files and directories only: a symlink there goes without.
  return status === -EPERM || status === -EOPNOTSUPP ? 0 : status;
}
