// SPDX-License-Identifier: MIT
/**
 * Lookup: which file a name in a merged directory stands for.
 *
 * Layers are asked from the top. The first that has the name decides: a whiteout
 * hides it, a file is the file, and a directory is merged with the directories of
 * the same name below it, down to an opaque one, a file or a whiteout
 * (ovl_lookup in fs/overlayfs/namei.c).
 */
import type { ByteString } from '../../base/bytes.js';
import { ENAMETOOLONG, ENOENT, type Errno, ESTALE } from '../../base/errno.js';
import { NAME_MAX } from '../../sys/names.js';
import { type Measured, unmeasured } from '../nodes/measured.js';
import { attach, type DirectoryNode, Entry, type OverlayNode } from '../nodes/node.js';
import type { Union } from '../nodes/union.js';
import { isReserved } from './file-whiteouts.js';
import { completeListing } from './listing.js';
import { probe } from './probe.js';
import { restoreChild } from './restore.js';

/**
 * Misses after which a directory is listed once, so that names it lacks are
 * known without asking any layer. A listing costs about as much as this many
 * misses in a directory of usual size.
 */
const MISSES_BEFORE_LISTING = 24;

/** From so many layers on a directory is listed at the first lookup: then each name is asked of one layer, not of all. */
const MANY_LAYERS = 8;

/**
 * The node that `name` stands for; no reference is taken. Or -ENOENT, or another negated errno.
 * `measured` says what was read of it on the way.
 */
export function findNode(
  union: Union,
  directory: DirectoryNode,
  name: ByteString,
  measured = unmeasured,
): OverlayNode | Errno {
  const known = directory.entries.get(name);
  if (known !== undefined && known.node !== null) return known.node;
  if (name.length > NAME_MAX) return -ENAMETOOLONG;
  if (directory.dead || isReserved(union, name)) return -ENOENT;
  return (
    (union.recovered === null ? undefined : restoreChild(union, directory, name, measured)) ??
    search(union, directory, name, measured)
  );
}

/** Asks the layers, and what is known of them. */
function search(
  union: Union,
  directory: DirectoryNode,
  name: ByteString,
  measured: Measured,
): OverlayNode | Errno {
  const known = directory.entries.get(name);
  // A directory that cannot be listed is asked name by name all the same.
  if (!directory.complete && directory.lowers.length >= MANY_LAYERS) completeListing(union, directory);
  const entry = known ?? directory.entries.get(name);
  if (entry === undefined && directory.complete) return -ENOENT;
  const node = probe(union, directory, name, entry?.places ?? null, measured);
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
