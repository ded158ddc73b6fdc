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
import type { ByteString } from '../../base/bytes.js';
import { EIO, EROFS, type Errno } from '../../base/errno.js';
import { Rollback } from '../../base/rollback.js';
import { changeTimes, rename } from '../../sys/entries.js';
import { Stat, statAt } from '../../sys/stat.js';
import { moveAsOwner } from '../formats/as-owner.js';
import { applyOverride } from '../formats/override-stat.js';
import type { Indexed } from '../layers/index-directory.js';
import { RealDirectory } from '../layers/layer.js';
import { resolveData } from '../names/file-lookup.js';
import { setImpure } from '../names/impure.js';
import { type FileData, OWN, UPPER, type Where } from '../nodes/file-content.js';
import type { DirectoryNode, FileNode, OverlayNode } from '../nodes/node.js';
import { recordInode, recordPlaces, setWhere } from '../nodes/recorder.js';
import { gone, type Union } from '../nodes/union.js';
import { bytesWanted, type CopyUp, LAZY, METADATA, WHOLE } from './extent.js';
import { beginLazily, completeCopy, isAwaited } from './lazy-copy.js';
import { enterInList } from './lazy-list.js';
import { linkUp } from './link-up.js';
import { copyUpData } from './metacopy-data.js';
import { finishStaged, type Staged, type Staging, stage } from './staging.js';

export function isInUpper(node: OverlayNode): boolean {
  return node.isDirectory() ? node.upper !== null : node.where.kind !== 'lower';
}

/** Brings a node and its parents into the upper, for a change that leaves a file's data as it is. */
export function copyUpMetadata(union: Union, node: OverlayNode): Errno {
  return copyUp(union, node, METADATA);
}

/** Brings a file into the upper for a write; afterwards `node.data` says whether its copy is in flight. */
export function copyUpLazily(union: Union, node: FileNode): Errno {
  return copyUp(union, node, LAZY);
}

/** Brings a node and its parents into the upper. Answers 0 or a negated errno. */
export function copyUp(union: Union, node: OverlayNode, extent: CopyUp = WHOLE): Errno {
  if (isInUpper(node)) return completeInUpper(union, node, extent);
  if (!union.writable) return -EROFS;
  const missing: OverlayNode[] = [node];
  for (let parent = node.parent; parent !== null && !isInUpper(parent); parent = parent.parent) {
    missing.push(parent);
  }
  for (let next = missing.pop(); next !== undefined; next = missing.pop()) {
    const status = copyUpOne(union, next, extent);
    if (status < 0) return status;
  }
  return 0;
}

/** Brings the data that is to be changed to where the metadata is. */
function completeInUpper(union: Union, node: OverlayNode, extent: CopyUp): Errno {
  if (node.isDirectory() || extent.kind === 'metadata') return 0;
  const resolved = resolveData(union, node);
  const { data } = node;
  if (resolved < 0 || data.kind === 'own') return resolved;
  if (isAwaited(union, node)) return -EIO;
  if (data.kind === 'lazy') return extent.kind === 'lazy' ? 0 : completeCopy(union, node);
  return data.kind === 'below' ? copyUpData(union, node, data.source, bytesWanted(extent)) : 0;
}

/** Precondition: the parent is in the upper, or the node has no name any more. */
function copyUpOne(union: Union, node: OverlayNode, extent: CopyUp): Errno {
  const resolved = resolveData(union, node);
  if (resolved < 0) return resolved;
  const work = union.work!;
  const staging = { node, source: { fd: -1, name: '' }, stat: new Stat(), staged: work.temporaryName() };
  const measured = measureSource(union, staging);
  if (measured < 0) return measured;
  const { stat, staged } = staging;

  using undo = new Rollback();
  undo.push(() => void (node.isDirectory() ? work.discardTree(staged) : work.discard(staged)));
  const content = stage(union, staging, extent);
  if (typeof content === 'number') return content;
  const record = content === 'lazy' ? enterInList(union, staged, node.parent!, node.name) : '';
  if (typeof record === 'number') return record;
  // Without an index a lower hard link is broken by its copy-up, so its number is not carried over either.
  const keepsIdentity = node.isDirectory() || stat.linkCount === 1 || node.indexed !== null;
  const finished = finishStaged(union, staging, keepsIdentity);
  if (finished < 0) return finished;
  const committed = commit(union, node, staged, content);
  if (committed < 0) return committed;
  undo.commit();
  if (content === 'lazy') return beginLazily(union, node as FileNode, record);
  if (!node.isDirectory() && node.indexed !== null) {
    return node.names.length > 0 ? linkUp(union, node.indexed, node.names[0]) : 0;
  }
  return keepsIdentity ? 0 : takeUpperInode(union, node as FileNode);
}

/** Fills in where the object is and what it is. Answers 0 or a negated errno. */
function measureSource(union: Union, { node, source, stat }: Staging): Errno {
  const located = union.locate(node, source);
  if (located < 0) return located;
  const found = statAt(source.fd, source.name, stat);
  if (found < 0) return gone(found);
  const { override } = node.isDirectory() ? node.lowers[0].layer : union.layerOf(node);
  if (override !== null) applyOverride(override, source.fd, source.name, stat);
  return 0;
}

function commit(union: Union, node: OverlayNode, staged: ByteString, content: Staged): Errno {
  if (!node.isDirectory() && node.indexed !== null) {
    return commitToIndex(union, node, node.indexed, staged, content);
  }
  const parent = node.parent;
  if (parent === null) {
    nowAt(union, node as FileNode, { kind: 'orphan', name: staged }, content);
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
    nowAt(union, node, UPPER, content);
  }
  return 0;
}

/** The copy of a file with several names goes to the index; its names are linked to it one by one. */
function commitToIndex(
  union: Union,
  node: FileNode,
  indexed: Indexed,
  staged: ByteString,
  content: Staged,
): Errno {
  let status = union.index!.markStaged(indexed, union.work!.fd, staged);
  if (status >= 0) status = rename(union.work!.fd, staged, union.index!.fd, indexed.name);
  if (status < 0) return status;
  nowAt(union, node, { kind: 'index', indexed }, content);
  return 0;
}

/** The copy stands for the file from now on. */
function nowAt(union: Union, node: FileNode, where: Where, content: Staged): void {
  node.data = dataAfter(node, content);
  setWhere(union, node, where);
  // Without a name the next server could not look for what is below.
  if (where.kind === 'orphan') recordPlaces(union, node);
  union.files.forget(node);
}

/** What has the data of a file after its copy-up from a lower layer. */
function dataAfter({ data, where }: FileNode, content: Staged): FileData {
  if (content === 'whole') return OWN;
  return data.kind === 'own' && where.kind === 'lower' ? { kind: 'below', source: where } : data;
}

const times = new Stat();

function renameKeepingTimes(
  union: Union,
  parent: DirectoryNode,
  staged: ByteString,
  name: ByteString,
): Errno {
  const dir = union.directories.of(parent.upper!);
  if (dir < 0) return gone(dir);
  const before = statAt(dir, '.', times);
  if (before < 0) return gone(before);
  union.journal?.times(parent.upper!.path(), times);
  const status = moveAsOwner(union.work!.fd, staged, dir, name);
  return status < 0 ? status : changeTimes(dir, '.', times);
}

function takeUpperInode(union: Union, node: FileNode): Errno {
  const { place } = union;
  const stat = new Stat();
  const located = union.locate(node, place);
  if (located < 0) return located;
  const status = statAt(place.fd, place.name, stat);
  if (status < 0) return status;
  union.numbers.numberBy(node, stat);
  recordInode(union, node);
  return 0;
}
