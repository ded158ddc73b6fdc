// SPDX-License-Identifier: MIT
/**
 * Names go. A name that a lower layer has is hidden by a whiteout; a whiteout
 * takes the place of an upper object by one rename, so that there is no moment
 * at which the lower one shows.
 *
 * Who serves files without being told of open and close does not know whether a
 * removed file is still in use. While the kernel remembers it, its content stays
 * in the work directory as an orphan, where it can be read, written and found
 * again after a restart of the server.
 */
import type { ByteString } from '../../base/bytes.js';
import { EBUSY, EISDIR, ENOENT, ENOTDIR, ENOTEMPTY, EROFS, type Errno } from '../../base/errno.js';
import { RENAME_EXCHANGE, removeDirectory, rename, unlink } from '../../sys/entries.js';
import { Stat } from '../../sys/stat.js';
import { copyUp, isInUpper } from '../copy-up/copy-up.js';
import { endLinkChange, prepareLoss, startLinkChange } from '../copy-up/hard-links.js';
import { directoryAttributes } from '../data/attributes.js';
import { moveAsOwner } from '../formats/as-owner.js';
import type { Losing } from '../journal/intent.js';
import { lowerHas } from '../names/ask.js';
import { resolveData } from '../names/file-lookup.js';
import { hideByFile } from '../names/file-whiteouts.js';
import { completeListing } from '../names/listing.js';
import { findNode } from '../names/lookup.js';
import { coverWithWhiteout, makeWhiteout, stageWhiteout } from '../names/whiteouts.js';
import { declare, declared, losingIndexed, losingName } from '../nodes/declare.js';
import { dropListing, removeEntry } from '../nodes/entries.js';
import { type DirectoryNode, detach, type FileNode } from '../nodes/node.js';
import { recordDead, recordName, recordPlaces, setWhere } from '../nodes/recorder.js';
import { settle } from '../nodes/references.js';
import { gone, type Union } from '../nodes/union.js';
import { finishLosing } from './redo.js';

/** Removes the name of something that is no directory. Answers 0 or a negated errno. */
export function unlinkName(union: Union, parent: DirectoryNode, name: ByteString): Errno {
  if (!union.writable) return -EROFS;
  const again = declared(union, 'remove');
  const node = findNode(union, parent, name);
  if (node === -ENOENT && again !== null) return finishLosing(union, again.losing);
  if (typeof node === 'number') return node;
  if (node.isDirectory()) {
    settle(union, node);
    return -EISDIR;
  }
  const status = removeFile(union, parent, name, node);
  settle(union, node);
  return status;
}

function removeFile(union: Union, parent: DirectoryNode, name: ByteString, node: FileNode): Errno {
  // Without its name the data could not be found any more, and who has it open may want it.
  let status = node.references > 0 ? resolveData(union, node) : 0;
  if (status < 0) return status;
  status = prepareLoss(union, node, parent, name);
  if (status >= 0) status = startLinkChange(union, node);
  if (status < 0) return status;
  const dir = union.directories.of(parent.upper!);
  if (dir < 0) return gone(dir);
  const losing = declareRemoval(union, parent, name, node);
  const cover = coverName(union, parent, name);
  if (typeof cover === 'number') return cover;
  if (isInUpper(node))
    status = removeUpperFile(union, node, parent, name, cover === 'whiteout', losing.orphan);
  else if (cover === 'whiteout') status = makeWhiteout(union, parent.upper!, name);
  if (status < 0) return status;
  const entry = parent.entries.get(name)!;
  detach(entry);
  recordName(union, node);
  removeEntry(union, entry, cover === 'whiteout');
  return endLinkChange(union, node, -1, losing.indexed?.orphan);
}

function declareRemoval(union: Union, parent: DirectoryNode, name: ByteString, node: FileNode): Losing {
  // With another name known the content stays reachable by that, and what is indexed by the index.
  const keep = node.where.kind === 'upper' && node.references > 0 && node.names.length === 1;
  const losing = losingName(node, parent, name, keep ? union.work!.temporaryName() : null);
  losing.indexed = losingIndexed(union, node);
  recordPlaces(union, node);
  declare(union, { kind: 'remove', losing });
  return losing;
}

/**
 * What must hide a name that is about to go from the upper: nothing, a whiteout that
 * takes its place, or a file beside it, which is made here. Or a negated errno.
 * Precondition: the parent is in the upper.
 */
function coverName(
  union: Union,
  parent: DirectoryNode,
  name: ByteString,
): 'nothing' | 'whiteout' | 'file' | Errno {
  const below = lowerHas(union, parent, name);
  if (below !== true) return below === false ? 'nothing' : below;
  if (union.work!.ways.form !== 'file') return 'whiteout';
  const hidden = hideByFile(union, parent, name);
  return hidden < 0 ? hidden : 'file';
}

function removeUpperFile(
  union: Union,
  node: FileNode,
  parent: DirectoryNode,
  name: ByteString,
  whiteout: boolean,
  orphan: ByteString | null,
): Errno {
  if (whiteout && orphan === null) return coverWithWhiteout(union, parent.upper!, name, false);
  const work = union.work!;
  const dir = union.directories.of(parent.upper!);
  if (dir < 0) return gone(dir);
  if (orphan === null) return unlink(dir, name);
  let status: Errno;
  if (!whiteout) status = rename(dir, name, work.fd, orphan);
  else {
    status = stageWhiteout(union, parent.upper!, orphan);
    if (status < 0) return status;
    status = rename(work.fd, orphan, dir, name, RENAME_EXCHANGE);
    if (status < 0) work.discard(orphan);
  }
  if (status === 0) setWhere(union, node, { kind: 'orphan', name: orphan });
  return status;
}

/** Removes an empty directory. Answers 0 or a negated errno. */
export function removeDirectoryName(union: Union, parent: DirectoryNode, name: ByteString): Errno {
  if (!union.writable) return -EROFS;
  const again = declared(union, 'remove');
  const node = findNode(union, parent, name);
  if (node === -ENOENT && again !== null) return finishLosing(union, again.losing);
  if (typeof node === 'number') return node;
  const status = node.isDirectory() ? removeMerged(union, parent, name, node) : -ENOTDIR;
  settle(union, node);
  return status;
}

function removeMerged(union: Union, parent: DirectoryNode, name: ByteString, node: DirectoryNode): Errno {
  if (node === union.root) return -EBUSY;
  const listed = completeListing(union, node);
  if (listed < 0) return listed;
  if (node.entries.size > 0) return -ENOTEMPTY;
  const copied = copyUp(union, parent);
  if (copied < 0) return copied;
  const pinned = keepReachable(union, node);
  if (pinned < 0) return pinned;
  const dir = union.directories.of(parent.upper!);
  if (dir < 0) return gone(dir);
  const losing = losingName(node, parent, name, null, remainsOf(union, node));
  declare(union, { kind: 'remove', losing });
  const cover = coverName(union, parent, name);
  if (typeof cover === 'number') return cover;
  let status: Errno = 0;
  if (node.upper !== null && cover === 'whiteout')
    status = coverWithWhiteout(union, parent.upper!, name, true);
  else if (node.upper !== null) status = removeUpperDirectory(union, node, dir, name);
  else if (cover === 'whiteout') status = makeWhiteout(union, parent.upper!, name);
  if (status < 0) return status;
  const entry = parent.entries.get(name)!;
  bury(union, node, losing.remains);
  detach(entry);
  recordName(union, node);
  removeEntry(union, entry, cover === 'whiteout');
  return 0;
}

/** What those who are in a directory see of it when it is gone; null where nobody is. */
export function remainsOf(union: Union, node: DirectoryNode): Stat | null {
  if (union.journal === null || !node.recorded) return null;
  const remains = new Stat();
  return directoryAttributes(union, node, remains) < 0 ? null : remains;
}

/** A process may still be in a directory that is removed: its attributes stay readable. */
export function keepReachable(union: Union, node: DirectoryNode): Errno {
  if (node.references === 0 || node.upper === null) return 0;
  const fd = union.directories.pin(node.upper);
  return fd < 0 ? gone(fd) : 0;
}

/** From now on nothing is found in the directory and nothing can be made in it. */
export function bury(union: Union, node: DirectoryNode, remains: Stat | null): void {
  dropListing(union, node);
  node.dead = true;
  node.remains = remains;
  recordDead(union, node, remains);
  node.lowers = node.upper === null ? node.lowers.slice(0, 1) : [];
}

/** Removes a directory that nothing below shows through. */
function removeUpperDirectory(union: Union, node: DirectoryNode, dir: number, name: ByteString): Errno {
  if (node.whiteouts.size === 0) {
    const removed = removeDirectory(dir, name);
    // Nothing is in it for the user, so what is left are whiteouts that are files.
    if (removed !== -ENOTEMPTY || !union.upper!.readsFiles) return removed;
  }
  const work = union.work!;
  const staged = work.temporaryName();
  const status = moveAsOwner(dir, name, work.fd, staged);
  // The name is gone; what is left of the directory are whiteouts.
  return status < 0 ? status : work.discardTree(staged);
}
