// SPDX-License-Identifier: MIT
/** From a path to a node, for those who name files by path: the library and libfuse 2. */
import { type ByteString, components } from '../base/bytes.js';
import { EINVAL, ELOOP, ENOTDIR, type Errno } from '../base/errno.js';
import { readLink } from '../sys/entries.js';
import { S_IFLNK } from '../sys/stat.js';
import { findNode } from './lookup.js';
import type { DirectoryNode, OverlayNode } from './node.js';
import { acquire, release, settle } from './references.js';
import type { Union } from './union.js';

/** As many symlinks as the kernel follows in one path (MAXSYMLINKS). */
const MAX_SYMLINKS = 40;

/**
 * The node at a path, with one reference that the caller gives back by release.
 * A symlink at the end is followed if asked; `..` never leads out of the root.
 */
export function walk(union: Union, path: ByteString, followLast: boolean): OverlayNode | Errno {
  const pending = components(path).reverse();
  let at: OverlayNode = union.root;
  let followed = 0;
  acquire(at);
  for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
    const next = step(union, at, name);
    if (typeof next === 'number') {
      release(union, at);
      return next;
    }
    if (next.type === S_IFLNK && (followLast || pending.length > 0)) {
      const target = ++followed > MAX_SYMLINKS ? -ELOOP : readTarget(union, next);
      settle(union, next);
      if (typeof target === 'number') {
        release(union, at);
        return target;
      }
      pending.push(...components(target).reverse());
      if (!target.startsWith('/')) continue;
      acquire(union.root);
      release(union, at);
      at = union.root;
      continue;
    }
    acquire(next);
    release(union, at);
    at = next;
  }
  return at;
}

function step(union: Union, at: OverlayNode, name: ByteString): OverlayNode | Errno {
  if (!at.isDirectory()) return -ENOTDIR;
  return name === '..' ? (at.parent ?? union.root) : findNode(union, at, name);
}

/** A symlink's target, or a negated errno. */
export function readTarget(union: Union, node: OverlayNode): ByteString | Errno {
  if (node.type !== S_IFLNK) return -EINVAL;
  const located = union.locate(node, union.place);
  return located < 0 ? located : readLink(union.place.fd, union.place.name);
}

export interface Named {
  parent: DirectoryNode;
  name: ByteString;
}

/** The directory that holds a path's last component, with one reference, and that component. */
export function walkToParent(union: Union, path: ByteString): Named | Errno {
  const names = components(path);
  const name = names.pop();
  if (name === undefined || name === '..') return -EINVAL;
  const parent = walk(union, names.join('/'), true);
  if (typeof parent === 'number') return parent;
  if (parent.isDirectory()) return { parent, name };
  release(union, parent);
  return -ENOTDIR;
}
