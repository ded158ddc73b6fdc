// SPDX-License-Identifier: MIT
/**
 * When nodes go. A node stays while it is referenced (the kernel's lookup count,
 * a library handle) or has known children; then everything it holds is let go:
 * descriptors, its place in its parent's entries, and the orphaned content of a
 * file whose last name was removed.
 */
import { overlayDebug } from '../base/debug.js';
import { errnoName } from '../base/errno.js';
import { dropListing } from './listing.js';
import { type DirectoryNode, detach, type FileNode, type OverlayNode } from './node.js';
import type { Union } from './union.js';

export function acquire(node: OverlayNode): void {
  node.references++;
}

/** Gives back `count` references, as FORGET does. */
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
    if (next.isDirectory() ? next.children > 0 : union.nodes.get(next.id) !== next) continue;
    waiting.push(...drop(union, next));
  }
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
  return parents;
}

function dropDirectory(union: Union, node: DirectoryNode): void {
  dropListing(union, node);
  if (node.upper !== null) union.directories.forget(node.upper);
  for (const lower of node.lowers) union.directories.forget(lower);
}

function dropFile(union: Union, node: FileNode): void {
  union.files.forget(node);
  if (node.orphan === null) return;
  const status = union.work!.discard(node.orphan);
  if (status < 0) overlayDebug('orphan %s stays until the next mount: %s', node.orphan, errnoName(status));
}
