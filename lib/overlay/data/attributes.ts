// SPDX-License-Identifier: MIT
/** Attributes of nodes: what stat shows, and chmod, chown, utimens, truncate. */
import { EINVAL, EISDIR, EOPNOTSUPP, type Errno, ESTALE, type SizeOrErrno } from '../../base/errno.js';
import type { Caller } from '../../sys/callers.js';
import { changeTimes, type Times, UTIME_OMIT } from '../../sys/entries.js';
import { truncate } from '../../sys/files.js';
import { S_IFLNK, S_IFREG, Stat, statAt, statFd } from '../../sys/stat.js';
import { copyUp, copyUpMetadata } from '../copy-up/copy-up.js';
import { truncatedTo } from '../copy-up/extent.js';
import { changeOwnership } from '../copy-up/ownership.js';
import { applyOverride } from '../formats/override-stat.js';
import { NO_ID } from '../layers/id-mapping.js';
import { resolveData } from '../names/file-lookup.js';
import type { Measured } from '../nodes/measured.js';
import type { DirectoryNode, FileNode, OverlayNode } from '../nodes/node.js';
import { gone, type Union } from '../nodes/union.js';
import { openData } from './data.js';
import { chownToNobody, killPrivileges, modeAfterChown } from './privileges.js';

/** What to change; a field at its initial value is left as it is. */
export class AttributeChange implements Times {
  mode = -1;
  uid = NO_ID;
  gid = NO_ID;
  /** In bytes. */
  size = -1;
  accessSeconds = 0;
  accessNanoseconds = UTIME_OMIT;
  modifySeconds = 0;
  modifyNanoseconds = UTIME_OMIT;
  /** Clear setuid and setgid as a write by an unprivileged user does. */
  killPrivileges = false;
  /** Who changes it, where that is not this process. */
  by: Caller | null = null;
}

/**
 * Attributes as the merged view shows them. Answers 0 or a negated errno. `measured` saves asking
 * the file system again for a file that was found or made just now.
 */
export function getAttributes(
  union: Union,
  node: OverlayNode,
  out: Stat,
  measured: Measured | null = null,
): Errno {
  const status = node.isDirectory()
    ? directoryAttributes(union, node, out)
    : fileAttributes(union, node, out, measured);
  const { ids } = union.features;
  if (ids !== null && status === 0) {
    out.uid = ids.users.show(out.uid);
    out.gid = ids.groups.show(out.gid);
  }
  return status;
}

/** As they are on disk, whatever ids the view shows. */
export function directoryAttributes(union: Union, node: DirectoryNode, out: Stat): Errno {
  const real = node.upper ?? node.lowers[0];
  if (real === undefined) return remainingAttributes(node, out);
  const fd = union.directories.of(real);
  const status = fd < 0 ? fd : statFd(fd, out);
  if (status < 0) return gone(status);
  const { override } = real.layer;
  if (override !== null) applyOverride(override, fd, '.', out);
  out.inodeLow = node.inodeLow;
  out.inodeHigh = node.inodeHigh;
  if (node.dead) out.linkCount = 0;
  // Nobody has counted the subdirectories of a merge; 1 tells tools not to rely on it (ovl_getattr).
  else if (union.features.staticLinkCount || node.lowers.length + (node.upper === null ? 0 : 1) > 1) {
    out.linkCount = 1;
  }
  return 0;
}

/** Of a directory that was removed before the server was started anew. */
function remainingAttributes({ remains, inodeLow, inodeHigh }: DirectoryNode, out: Stat): Errno {
  if (remains === null) return -ESTALE;
  out.assign(remains);
  out.inodeLow = inodeLow;
  out.inodeHigh = inodeHigh;
  out.linkCount = 0;
  return 0;
}

function fileAttributes(union: Union, node: FileNode, out: Stat, measured: Measured | null): Errno {
  if (measured?.file === node) {
    if (measured.stat !== out) out.assign(measured.stat);
  } else {
    const status = measureFile(union, node, out);
    if (status < 0) return status;
  }
  out.inodeLow = node.inodeLow;
  out.inodeHigh = node.inodeHigh;
  const looksSparse = node.type === S_IFREG && out.blocks * 512 < out.size;
  if (looksSparse && node.data.kind !== 'own') {
    const blocks = dataBlocks(union, node, out.blocks);
    if (blocks < 0) return blocks;
    out.blocks = blocks;
  }
  const { indexed } = node;
  if (node.where.kind === 'orphan') out.linkCount--;
  else if (indexed !== null) out.linkCount = indexed.links;
  else if (node.names.length === 0) out.linkCount = 0;
  return 0;
}

function measureFile(union: Union, node: FileNode, out: Stat): Errno {
  const { place } = union;
  const located = union.locate(node, place);
  if (located < 0) return located;
  const status = statAt(place.fd, place.name, out);
  if (status < 0) return gone(status);
  const { override } = union.layerOf(node);
  if (override !== null) applyOverride(override, place.fd, place.name, out);
  return 0;
}

/** A metacopy takes as much room as its data does, in units of 512 bytes (ovl_getattr); or a negated errno. */
function dataBlocks(union: Union, node: FileNode, own: number): SizeOrErrno {
  const resolved = resolveData(union, node);
  if (resolved < 0) return resolved;
  if (node.data.kind === 'own') return own;
  const { place } = union;
  const stat = new Stat();
  const located = union.locateData(node, place);
  const status = located < 0 ? located : statAt(place.fd, place.name, stat);
  return status < 0 ? gone(status) : stat.blocks;
}

/** Applies a change; copies the node up first. Answers 0 or a negated errno. */
export function setAttributes(union: Union, node: OverlayNode, change: AttributeChange): Errno {
  if (change.size >= 0 && node.type !== S_IFREG) return node.isDirectory() ? -EISDIR : -EINVAL;
  if (change.mode >= 0 && node.type === S_IFLNK) return -EOPNOTSUPP;
  const copied =
    change.size >= 0 ? copyUp(union, node, truncatedTo(change.size)) : copyUpMetadata(union, node);
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
  if (status === 0) {
    const { ids } = union.features;
    const uid = ids === null ? change.uid : ids.users.store(change.uid);
    const gid = ids === null ? change.gid : ids.groups.store(change.gid);
    status = isBareChown(change)
      ? chownToNobody(union, node, change.by)
      : changeOwnership(union, place.fd, place.name, { uid, gid, mode: modeOf(union, node, change) });
  }
  const hasTimes = change.accessNanoseconds !== UTIME_OMIT || change.modifyNanoseconds !== UTIME_OMIT;
  if (status === 0 && hasTimes) status = changeTimes(place.fd, place.name, change);
  return gone(status);
}

/** chown(2) with neither owner nor group: setuid, setgid and capabilities go all the same. */
function isBareChown({ uid, gid, mode, size, killPrivileges: kills }: AttributeChange): boolean {
  return kills && uid === NO_ID && gid === NO_ID && mode < 0 && size < 0;
}

/** The new mode, also where a change of owner brings it about; -1 for none. */
function modeOf(union: Union, node: OverlayNode, { mode, uid, gid, by }: AttributeChange): number {
  return mode < 0 && (uid !== NO_ID || gid !== NO_ID) ? modeAfterChown(union, node, by) : mode;
}

function resize(union: Union, node: FileNode, change: AttributeChange): Errno {
  const fd = openData(union, node, true);
  if (fd < 0) return fd;
  const status = truncate(fd, change.size);
  return status < 0 || !change.killPrivileges ? status : killPrivileges(union, node, change.by);
}
