// SPDX-License-Identifier: MIT
/**
 * What an upper changes without having the name: where one name of a file was copied up, the
 * others stay in lower layers until they change themselves, and show the copy by the index.
 * Who lists or packs the changes of an upper has to find them, which takes a walk of the whole
 * view; it is made only where the index says that there may be such names.
 */
import { type ByteString, joinPath } from '../../base/bytes.js';
import { check } from '../../base/errors.js';
import { Stat, statAt } from '../../sys/stat.js';
import type { DirectoryNode } from '../nodes/node.js';
import { settle } from '../nodes/references.js';
import type { Union } from '../nodes/union.js';
import { completeListing } from './listing.js';
import { findNode } from './lookup.js';

interface Step {
  directory: DirectoryNode;
  path: ByteString;
}

/**
 * Those names, and the directories above them that the upper does not have either; sorted.
 * Precondition: the union is read-only, with the upper as its topmost layer.
 */
export function namesByIndex(union: Union): ByteString[] {
  if (union.index?.reachesBelow() !== true) return [];
  const found = new Set<ByteString>();
  const pending: Step[] = [{ directory: union.root, path: '/' }];
  for (let step = pending.pop(); step !== undefined; step = pending.pop()) {
    const { directory, path } = step;
    check(completeListing(union, directory), { operation: 'list', path });
    for (const name of directory.entries.keys()) {
      const node = findNode(union, directory, name);
      if (typeof node === 'number') continue;
      if (node.isDirectory()) {
        pending.push({ directory: node, path: joinPath(path, name) });
        continue;
      }
      if (node.where.kind === 'index' && !upperHas(union, directory, name)) enter(union, step, name, found);
      settle(union, node);
    }
    settle(union, directory);
  }
  return [...found].sort();
}

function hasUpper({ topmost }: Union, directory: DirectoryNode): boolean {
  return directory.lowers[0].layer === topmost;
}

function upperHas(union: Union, directory: DirectoryNode, name: ByteString): boolean {
  if (!hasUpper(union, directory)) return false;
  return statAt(union.directories.of(directory.lowers[0]), name, new Stat()) === 0;
}

function enter(union: Union, { directory, path }: Step, name: ByteString, found: Set<ByteString>): void {
  found.add(joinPath(path, name));
  let above = path;
  for (let at: DirectoryNode | null = directory; at !== null && !hasUpper(union, at); at = at.parent) {
    found.add(above);
    above = above.slice(0, above.lastIndexOf('/'));
  }
}
