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
import { statAt } from '../sys/stat.js';
import { xattrIs } from '../sys/xattrs.js';
import { foundFile } from './file-lookup.js';
import { hasFileWhiteout, isReserved, isReservedIn } from './file-whiteouts.js';
import { gatherDirectory } from './gather.js';
import { restoreChild } from './journal/restore.js';
import { completeListing } from './listing.js';
import { attach, type DirectoryNode, Entry, type OverlayNode } from './node.js';
import { applyOverride } from './override-stat.js';
import type { RealDirectory } from './real.js';
import { gone, type Union } from './union.js';
import { hides } from './whiteouts.js';

/**
 * Misses after which a directory is listed once, so that names it lacks are
 * known without asking any layer. A listing costs about as much as this many
 * misses in a directory of usual size.
 */
const MISSES_BEFORE_LISTING = 24;

/** From so many layers on a directory is listed at the first lookup: then each name is asked of one layer, not of all. */
const MANY_LAYERS = 8;

/** The node that `name` stands for; no reference is taken. Or -ENOENT, or another negated errno. */
export function findNode(union: Union, directory: DirectoryNode, name: ByteString): OverlayNode | Errno {
  union.measured = null;
  const known = directory.entries.get(name);
  if (known !== undefined && known.node !== null) return known.node;
  if (name.length > NAME_MAX) return -ENAMETOOLONG;
  if (directory.dead || isReserved(union, name)) return -ENOENT;
  return (
    (union.recovered === null ? undefined : restoreChild(union, directory, name)) ??
    search(union, directory, name)
  );
}

/** Asks the layers, and what is known of them. */
function search(union: Union, directory: DirectoryNode, name: ByteString): OverlayNode | Errno {
  const known = directory.entries.get(name);
  // A directory that cannot be listed is asked name by name all the same.
  if (!directory.complete && directory.lowers.length >= MANY_LAYERS) completeListing(union, directory);
  const entry = known ?? directory.entries.get(name);
  if (entry === undefined && directory.complete) return -ENOENT;
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

/** Asks the layers for a name that has no node yet. */
export function probe(
  union: Union,
  directory: DirectoryNode,
  name: ByteString,
  places: readonly number[] | null,
): OverlayNode | Errno {
  const last = directory.lowers.length;
  for (let place = directory.upper === null ? 1 : 0; place <= last; place++) {
    if (places !== null && !places.includes(place)) continue;
    const real = place === 0 ? directory.upper! : directory.lowers[place - 1];
    const answer = askDirectory(union, real, name, places === null && place < last);
    if (answer === 'absent') {
      directory.misses++;
      continue;
    }
    if (answer !== 'there') return answer === 'hidden' ? -ENOENT : answer;
    if (union.stat.isDirectory) return gatherDirectory(union, directory, name, place, places);
    return foundFile(union, directory, place, name);
  }
  return -ENOENT;
}

/**
 * What a real directory says to a name: it has it (`union.stat` holds its
 * attributes), it hides it from here down, or it leaves it to the layers below.
 */
export type Answer = 'there' | 'hidden' | 'absent' | Errno;

/** `mayHide`: whether there is anything below that a `.wh.` file could hide, so that it is worth looking for one. */
export function askDirectory(union: Union, real: RealDirectory, name: ByteString, mayHide: boolean): Answer {
  if (isReservedIn(union, real, name)) return 'absent';
  const fd = union.directories.of(real);
  if (fd < 0) return gone(fd);
  const status = statAt(fd, name, union.stat);
  if (status === 0 && real.layer.override !== null) applyOverride(real.layer.override, fd, name, union.stat);
  if (status === 0) return hides(union, real, fd, name, union.stat) ? 'hidden' : 'there';
  if (status !== -ENOENT) return status;
  if (!mayHide) return 'absent';
  const hidden = hasFileWhiteout(union, real, name);
  return hidden < 0 ? hidden : hidden === 1 ? 'hidden' : 'absent';
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
  const visible = askLowers(union, directory, name);
  if (visible >= 0 && entry !== undefined) entry.below = visible === 1;
  return visible;
}

function askLowers(union: Union, directory: DirectoryNode, name: ByteString): number {
  for (const [index, lower] of directory.lowers.entries()) {
    const answer = askDirectory(union, lower, name, index + 1 < directory.lowers.length);
    if (answer === 'absent') continue;
    if (answer === 'there') return 1;
    return answer === 'hidden' ? 0 : answer;
  }
  return 0;
}
