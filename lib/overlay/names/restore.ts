// SPDX-License-Identifier: MIT
/**
 * Nodes come back when they are asked for: what the journal says leads to where they
 * are, and the disk says the rest. A node keeps its id, what the kernel counts on it,
 * and its inode number.
 */

import { overlayDebug } from '../../base/debug.js';
import { ENOENT, type Errno, ESTALE, errnoName } from '../../base/errno.js';
import { Stat, statAt } from '../../sys/stat.js';
import type { RecordedNode, RecordedPlace } from '../journal/recorded.js';
import { RealDirectory } from '../layers/layer.js';
import { inLower, type LowerPlace, type Where } from '../nodes/file-content.js';
import { type Measured, unmeasured } from '../nodes/measured.js';
import { attach, type DirectoryNode, Entry, type OverlayNode } from '../nodes/node.js';
import { settle } from '../nodes/references.js';
import type { Union } from '../nodes/union.js';
import { isMetacopy } from './metacopy.js';
import { probe } from './probe.js';
import { holdsMarkedWhiteouts } from './whiteouts.js';

/** The node of an id that the kernel knows. Answers -ESTALE where it is no more, or why it cannot be brought back. */
export function nodeOf(union: Union, id: number): OverlayNode | Errno {
  const known = union.nodes.get(id);
  if (known !== undefined) return known;
  if (union.recovered === null) return -ESTALE;
  const node = restoreNode(union, id);
  return node === -ENOENT ? -ESTALE : node;
}

/** Brings a node back, and the directories above it first. Answers -ENOENT where there is none any more, or another negated errno. */
export function restoreNode(union: Union, id: number, measured = unmeasured): OverlayNode | Errno {
  const chain: RecordedNode[] = [];
  for (let at = id; union.nodes.get(at) === undefined; ) {
    const recorded = union.recovered?.get(at);
    if (recorded === undefined) return -ENOENT;
    chain.push(recorded);
    if (recorded.name === '' || recorded.dead !== null) break;
    at = recorded.parent;
  }
  for (let next = chain.pop(); next !== undefined; next = chain.pop()) {
    const status = restoreOne(union, next, measured);
    if (status < 0) {
      overlayDebug('node %d, %s in node %d: %s', next.id, next.name, next.parent, errnoName(status));
      return status;
    }
  }
  return union.nodes.get(id)!;
}

/** Precondition: its parent is back. */
function restoreOne(union: Union, recorded: RecordedNode, measured: Measured): Errno {
  const node =
    recorded.dead !== null
      ? restoreDead(union, recorded)
      : recorded.name === ''
        ? restoreNameless(union, recorded)
        : restoreNamed(union, recorded, measured);
  if (typeof node === 'number') return node;
  node.references += recorded.references;
  node.recorded = true;
  if (recorded.inodeLow !== 0 || recorded.inodeHigh !== 0) {
    node.inodeLow = recorded.inodeLow;
    node.inodeHigh = recorded.inodeHigh;
  }
  union.recovered!.take(recorded);
  if (union.recovered!.size === 0) union.recovered = null;
  return 0;
}

function restoreDead(union: Union, { id, dead }: RecordedNode): OverlayNode {
  const node = union.nodes.withId(id, () => union.nodes.addDirectory());
  node.dead = true;
  node.remains = dead;
  return node;
}

function restoreNameless(union: Union, { id, type, orphan, lower, data }: RecordedNode): OverlayNode | Errno {
  if (orphan === null && lower === null) return -ENOENT;
  const where: Where = orphan === null ? inLower(placeIn(union, lower!)) : { kind: 'orphan', name: orphan };
  // Its data may have come since that was recorded; what says so for certain is the mark, which goes last.
  const isBelow = data !== null && (orphan === null || isMetacopy(union, union.work!.fd, orphan));
  if (typeof isBelow === 'number') return isBelow;
  const node = union.nodes.withId(id, () => union.nodes.addFile(type, where));
  if (data !== null && isBelow) node.data = { kind: 'below', source: placeIn(union, data) };
  return node;
}

function placeIn(union: Union, { layer: index, path }: RecordedPlace): LowerPlace {
  const layer = [...union.lowers, ...union.dataLayers].find((candidate) => candidate.index === index)!;
  const components = path.split('/');
  const name = components.pop()!;
  let directory = layer.root;
  for (const component of components) directory = new RealDirectory(layer, directory, component);
  return { directory, name };
}

function restoreNamed(union: Union, recorded: RecordedNode, measured: Measured): OverlayNode | Errno {
  const { id, parent: above, name } = recorded;
  const parent = union.nodes.get(above) as DirectoryNode;
  const entry = parent.entries.get(name);
  const node = union.nodes.withId(
    id,
    () =>
      restoreMerged(union, recorded, parent) ?? probe(union, parent, name, entry?.places ?? null, measured),
  );
  if (typeof node === 'number') return node;
  if (node.id !== id) {
    // Another name of it is back already, under an id of its own: the layers were changed under the mount.
    settle(union, node);
    return -ENOENT;
  }
  const own = entry ?? new Entry(parent, name, node.type);
  if (entry === undefined) parent.entries.set(name, own);
  attach(own, node);
  return node;
}

/**
 * While a layer does not answer, directories that it has no part in come back without asking it.
 * Undefined where there is no need, or no way.
 */
function restoreMerged(
  union: Union,
  { lowers, name }: RecordedNode,
  parent: DirectoryNode,
): DirectoryNode | undefined {
  if (!union.watch.current.isNeeded || lowers === null) return undefined;
  const node = union.nodes.addDirectory();
  node.lowers = lowers.map(
    (position) => new RealDirectory(parent.lowers[position].layer, parent.lowers[position], name),
  );
  if (parent.upper === null) return node;
  const dir = union.directories.of(parent.upper);
  const inUpper = dir >= 0 && statAt(dir, name, new Stat()) === 0;
  if (inUpper) {
    node.upper = new RealDirectory(parent.upper.layer, parent.upper, name);
    node.upper.xattrWhiteouts = holdsMarkedWhiteouts(union.marks, dir, name);
  }
  return node;
}

/** The node that the kernel knew by this name of a directory, brought back; undefined where it knew none. */
export function restoreChild(
  union: Union,
  directory: DirectoryNode,
  name: string,
  measured: Measured,
): OverlayNode | Errno | undefined {
  const recorded = union.recovered?.childOf(directory.id, name);
  return recorded === undefined ? undefined : restoreNode(union, recorded.id, measured);
}

/** Files that may have several names are brought back at once, so that each name leads to the one node. */
export function restoreLinked(union: Union): void {
  const linked = [...(union.recovered?.values() ?? [])].filter((node) => node.linked);
  for (const { id } of linked) restoreNode(union, id);
}
