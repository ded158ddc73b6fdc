// SPDX-License-Identifier: MIT
/** The entries of a merged directory come, go, and are visited in the order of their cookies. */
import type { ByteString } from '../../base/bytes.js';
import { firstAfter, hashedCookie, isHashed, putInOrder } from './cookies.js';
import { type DirectoryNode, Entry } from './node.js';
import type { Union } from './union.js';

/** An empty listing for a directory that was just made. */
export function startListing(union: Union, directory: DirectoryNode): void {
  directory.complete = true;
  union.listings.add(directory);
}

/** Keeps the entries that have a node and forgets that there are others. */
export function dropListing(union: Union, directory: DirectoryNode): void {
  if (!union.listings.delete(directory)) return;
  union.listedEntries -= directory.order.length;
  directory.complete = false;
  directory.order = [];
  directory.whiteouts.clear();
  directory.vacant.clear();
  directory.misses = 0;
  for (const [name, entry] of directory.entries) if (entry.node === null) directory.entries.delete(name);
}

/** A new name; takes the place of a whiteout if there was one. */
export function addEntry(union: Union, directory: DirectoryNode, name: ByteString, type: number): Entry {
  const entry = new Entry(directory, name, type);
  directory.entries.set(name, entry);
  if (!directory.complete) return entry;
  directory.whiteouts.delete(name);
  entry.cookie = directory.vacant.get(name) ?? hashedCookie(name);
  directory.vacant.delete(name);
  directory.order.push(entry);
  directory.ordered = false;
  union.listedEntries++;
  return entry;
}

/** A name is gone; `whiteout` says whether the upper now hides it. */
export function removeEntry(union: Union, entry: Entry, whiteout: boolean): void {
  const { directory } = entry;
  directory.entries.delete(entry.name);
  entry.removed = true;
  if (!directory.complete) return;
  if (whiteout) directory.whiteouts.add(entry.name);
  if (!isHashed(entry.cookie)) directory.vacant.set(entry.name, entry.cookie);
  sweep(union, directory);
}

/** Removed entries are taken out of the order when they are the larger part of it. */
function sweep(union: Union, directory: DirectoryNode): void {
  const { order } = directory;
  if (order.length >= 64 && order.length >= 2 * directory.entries.size) dropRemoved(union, directory);
}

function dropRemoved(union: Union, directory: DirectoryNode): void {
  const { order } = directory;
  directory.order = order.filter((entry) => !entry.removed);
  union.listedEntries -= order.length - directory.order.length;
}

/**
 * Visits the entries after a cookie in order, until `visit` answers false.
 * Precondition: the listing is complete.
 */
export function visitEntries(
  union: Union,
  directory: DirectoryNode,
  after: number,
  visit: (entry: Entry) => boolean,
): void {
  if (!directory.ordered) {
    dropRemoved(union, directory);
    putInOrder(directory);
  }
  const { order } = directory;
  for (let index = firstAfter(order, after); index < order.length; index++) {
    const entry = order[index];
    if (!entry.removed && !visit(entry)) return;
  }
}
