// SPDX-License-Identifier: MIT
/**
 * Lookup: which file a name in a merged directory stands for.
 *
 * Layers are asked from the top. The first that has the name decides: a whiteout
 * hides it, a file is the file, and a directory is merged with the directories of
 * the same name below it, down to an opaque one, a file or a whiteout
 * (ovl_lookup in fs/overlayfs/namei.c).
 */
import type { ByteString } from '../base/bytes.js';
import { ENAMETOOLONG, ENOENT, type Errno, ESTALE } from '../base/errno.js';
import { NAME_MAX } from '../sys/names.js';
import { type Stat, statAt } from '../sys/stat.js';
import { xattrIs } from '../sys/xattrs.js';
import { gatherDirectory } from './gather.js';
import { completeListing } from './listing.js';
import { isWhiteout } from './marks.js';
import { attach, type DirectoryNode, Entry, type FileNode, type OverlayNode } from './node.js';
import { readOrigin } from './origin.js';
import type { RealDirectory } from './real.js';
import { gone, type Union } from './union.js';

/**
 * Misses after which a directory is listed once, so that names it lacks are
 * known without asking any layer. A listing costs about as much as this many
 * misses in a directory of usual size.
 */
const MISSES_BEFORE_LISTING = 24;

/** The node that `name` stands for; no reference is taken. Or -ENOENT, or another negated errno. */
export function findNode(union: Union, directory: DirectoryNode, name: ByteString): OverlayNode | Errno {
  const entry = directory.entries.get(name);
  if (entry !== undefined && entry.node !== null) return entry.node;
  if ((entry === undefined && directory.complete) || directory.dead) return -ENOENT;
  if (name.length > NAME_MAX) return -ENAMETOOLONG;
  const node = probe(union, directory, name, entry?.places ?? null);
  if (typeof node === 'number') {
    if (node !== -ENOENT) return node;
    if (entry !== undefined) return -ESTALE;
    if (directory.misses > MISSES_BEFORE_LISTING) completeListing(union, directory);
    return -ENOENT;
  }
  attach(entry ?? newEntry(directory, name, node.type), node);
  return node;
}

function newEntry(directory: DirectoryNode, name: ByteString, type: number): Entry {
  const entry = new Entry(directory, name, type);
  directory.entries.set(name, entry);
  return entry;
}

function probe(
  union: Union,
  directory: DirectoryNode,
  name: ByteString,
  places: readonly number[] | null,
): OverlayNode | Errno {
  const { stat } = union;
  const last = directory.lowers.length;
  for (let place = directory.upper === null ? 1 : 0; place <= last; place++) {
    if (places !== null && !places.includes(place)) continue;
    const real = place === 0 ? directory.upper! : directory.lowers[place - 1];
    const fd = union.directories.of(real);
    if (fd < 0) return gone(fd);
    const status = statAt(fd, name, stat);
    if (status === -ENOENT) {
      directory.misses++;
      continue;
    }
    if (status < 0) return status;
    if (hides(union, real, fd, name, stat)) return -ENOENT;
    if (stat.isDirectory) return gatherDirectory(union, directory, name, place, places);
    return place === 0 ? upperFile(union, directory, name) : lowerFile(union, real, name);
  }
  return -ENOENT;
}

/** Whether what was found is a whiteout, in either of the two forms. */
export function hides(union: Union, real: RealDirectory, fd: number, name: ByteString, stat: Stat): boolean {
  if (isWhiteout(stat)) return true;
  if (!real.xattrWhiteouts || !stat.isRegular || stat.size !== 0) return false;
  return xattrIs(fd, name, `${union.marks.prefix}whiteout`, 'y');
}

/** Precondition: `union.stat` holds the file's attributes. */
function lowerFile(union: Union, real: RealDirectory, name: ByteString): FileNode {
  const { stat, numbers } = union;
  const node = union.nodes.addFile(stat.type);
  node.lower = { directory: real, name };
  numbers.compute(stat.fileSystem, stat.inodeLow, stat.inodeHigh);
  node.inodeLow = numbers.low;
  node.inodeHigh = numbers.high;
  return node;
}

/** Precondition: `union.stat` holds the file's attributes. */
function upperFile(union: Union, directory: DirectoryNode, name: ByteString): FileNode {
  const { stat, numbers } = union;
  const key = stat.linkCount > 1 ? linkKey(stat) : null;
  if (key !== null) {
    const known = union.nodes.linkedFile(key);
    if (known !== undefined) return known;
  }
  const node = union.nodes.addFile(stat.type);
  node.inUpper = true;
  if (key !== null) union.nodes.rememberLinks(node, key);
  // The kernel does not mark a directory impure for a link that is made in it, so a file with several
  // names is asked whatever its directory says: all its names must give one number.
  if (key !== null || isImpure(union, directory)) readOrigin(union, directory, name, stat);
  numbers.compute(stat.fileSystem, stat.inodeLow, stat.inodeHigh);
  node.inodeLow = numbers.low;
  node.inodeHigh = numbers.high;
  return node;
}

export function linkKey(stat: Stat): string {
  return `${stat.inodeHigh}:${stat.inodeLow}`;
}

/** Whether the upper directory may hold objects with an origin (ovl_is_impuredir). */
export function isImpure(union: Union, directory: DirectoryNode): boolean {
  if (directory.impure === undefined) {
    const fd = directory.upper === null ? -1 : union.directories.of(directory.upper);
    directory.impure = fd >= 0 && xattrIs(fd, '.', union.marks.impure, 'y');
  }
  return directory.impure;
}

/**
 * Whether a lower layer shows `name` in this directory, so that removing it from
 * the upper needs a whiteout (ovl_lower_positive). Answers 1, 0 or a negated errno.
 */
export function lowerHas(union: Union, directory: DirectoryNode, name: ByteString): number {
  if (!directory.merges) return 0;
  const entry = directory.entries.get(name);
  if (entry?.below !== undefined) return entry.below ? 1 : 0;
  if (entry === undefined && directory.complete && !directory.whiteouts.has(name)) return 0;
  for (const lower of directory.lowers) {
    const fd = union.directories.of(lower);
    if (fd < 0) return gone(fd);
    const status = statAt(fd, name, union.stat);
    if (status === -ENOENT) continue;
    if (status < 0) return status;
    const visible = !hides(union, lower, fd, name, union.stat);
    if (entry !== undefined) entry.below = visible;
    return visible ? 1 : 0;
  }
  if (entry !== undefined) entry.below = false;
  return 0;
}
