// SPDX-License-Identifier: MIT
/**
 * When nodes come and go. A node stays while it is referenced (the kernel's lookup count,
 * a library handle) or has known children; then everything it holds is let go:
 * descriptors, its place in its parent's entries, and the orphaned content of a
 * file whose last name was removed.
 */
import { overlayDebug } from '../../base/debug.js';
import { errnoName } from '../../base/errno.js';
import { dropListing } from './entries.js';
import { type DirectoryNode, detach, type FileNode, type OverlayNode, orphanOf } from './node.js';
import { recordNode } from './recorder.js';
import type { Union } from './union.js';

export function acquire(node: OverlayNode): void {
  node.references++;
}

/** The kernel counts on a node once more; a new server will know. */
export function remember(union: Union, node: OverlayNode): void {
  recordNode(union, node);
  if (node.recorded) union.journal!.refer(node.id, 1);
  acquire(node);
}

/** The kernel counts on a node `count` times less, as FORGET says. */
export function forget(union: Union, id: number, count: number): void {
  const node = union.nodes.get(id);
  if (node === undefined) forgetRecovered(union, id, count);
  else if (node !== union.root) {
    if (node.recorded) union.journal!.refer(id, -count);
    release(union, node, count);
  }
}

/** The kernel counts less on a node that nobody has asked for since the restart. */
function forgetRecovered(union: Union, id: number, count: number): void {
  const { recovered, journal } = union;
  let node = recovered?.get(id);
  if (node === undefined) return;
  node.references -= count;
  journal!.refer(id, -count);
  while (node !== undefined && node.references <= 0 && !recovered!.hasChildren(node.id)) {
    if (union.features.keepsNodes && node.name !== '') return;
    recovered!.take(node);
    journal!.drop(node.id);
    if (node.orphan !== null) {
      const status = union.work!.discard(node.orphan);
      if (status < 0)
        overlayDebug('orphan %s stays until the next mount: %s', node.orphan, errnoName(status));
    }
    const above: number = node.name === '' ? 0 : node.parent;
    const directory = union.nodes.get(above);
    if (directory !== undefined) settle(union, directory);
    node = recovered!.get(above);
  }
}

/** Gives back `count` references. */
export function release(union: Union, node: OverlayNode, count = 1): void {
  node.references -= count;
  settle(union, node);
}

/** Drops a node that nothing holds; for nodes that were looked up for the moment only. */
export function settle(union: Union, node: OverlayNode): void {
  const waiting: OverlayNode[] = [node];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    if (next.references > 0 || next === union.root) continue;
    if (union.features.keepsNodes && next.names.length > 0) continue;
    if (next.isDirectory() ? isInUse(union, next) : union.nodes.get(next.id) !== next) continue;
    waiting.push(...drop(union, next));
  }
}

function isInUse(union: Union, node: DirectoryNode): boolean {
  return node.children > 0 || union.recovered?.hasChildren(node.id) === true;
}

/** Answers the directories that had the node as a child. */
function drop(union: Union, node: OverlayNode): DirectoryNode[] {
  const parents: DirectoryNode[] = [];
  for (const entry of [...node.names]) {
    const { directory } = entry;
    entry.inodeLow = node.inodeLow;
    entry.inodeHigh = node.inodeHigh;
    entry.inodeKnown = true;
    detach(entry);
    if (!directory.complete) directory.entries.delete(entry.name);
    parents.push(directory);
  }
  if (node.isDirectory()) dropDirectory(union, node);
  else dropFile(union, node);
  union.nodes.delete(node);
  if (node.recorded) union.journal!.drop(node.id);
  return parents;
}

function dropDirectory(union: Union, node: DirectoryNode): void {
  dropListing(union, node);
  if (node.upper !== null) union.directories.forget(node.upper);
  for (const lower of node.lowers) union.directories.forget(lower);
}

function dropFile(union: Union, node: FileNode): void {
  union.files.forget(node);
  const orphan = orphanOf(node);
  if (orphan === null) return;
  const status = union.work!.discard(orphan);
  if (status < 0) overlayDebug('orphan %s stays until the next mount: %s', orphan, errnoName(status));
}
