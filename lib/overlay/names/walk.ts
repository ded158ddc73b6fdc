// SPDX-License-Identifier: MIT
/**
 * From a path to a node, for those who name files by path: the library, libfuse 2, and
 * who looks into an image. The rules are those of path_resolution(7); fs/namei.c has them
 * as link_path_walk (all components but the last) and lookup_last (the last one).
 */
import type { ByteString } from '../../base/bytes.js';
import { EINVAL, ELOOP, ENAMETOOLONG, ENOTDIR, type Errno } from '../../base/errno.js';
import { readLink } from '../../sys/entries.js';
import { PATH_MAX } from '../../sys/names.js';
import { S_IFLNK } from '../../sys/stat.js';
import type { DirectoryNode, OverlayNode } from '../nodes/node.js';
import { acquire, release, settle } from '../nodes/references.js';
import type { Union } from '../nodes/union.js';
import { findNode } from './lookup.js';

/** As many symlinks as the kernel follows in one path (MAXSYMLINKS). */
const MAX_SYMLINKS = 40;

/** A path's last component and the directory that holds it. */
export interface Named {
  parent: DirectoryNode;
  /** `.` and `..` as they are; empty for the root itself. */
  name: ByteString;
  /** Slashes follow: it must be a directory, and a symlink to one is followed. */
  slashed: boolean;
}

/** The last component with what it stands for; each of the two nodes has one reference (releaseFound). */
export interface Found extends Named {
  node: OverlayNode | Errno;
}

/** Symlinks that one resolution has followed so far. */
interface Budget {
  followed: number;
}

/**
 * The node at a path, with one reference that the caller gives back by release.
 * A symlink at the end is followed if asked, or if slashes follow it; `..` never leads out
 * of the root. The empty path is the root: it is the engine's own name of it.
 */
export function walk(union: Union, path: ByteString, followLast: boolean): OverlayNode | Errno {
  const found = find(union, path === '' ? '/' : path, followLast);
  if (typeof found === 'number') return found;
  release(union, found.parent);
  return found.node;
}

/** As `walk`, with the place where the path ends; a last component that is missing is no failure here. */
export function find(union: Union, path: ByteString, followLast: boolean): Found | Errno {
  const budget = { followed: 0 };
  let from = union.root;
  acquire(from);
  for (let rest = path; ; ) {
    const named = walkNames(union, rest, from, budget);
    if (typeof named === 'number') return named;
    const target = lastTarget(union, named, followLast, budget);
    if (target === null) return lookUpLast(union, named);
    if (typeof target === 'number') {
      release(union, named.parent);
      return target;
    }
    // What must be a directory must be one at the link's end, too.
    rest = named.slashed ? `${target}/` : target;
    from = named.parent;
  }
}

export function releaseFound(union: Union, { parent, node }: Found): void {
  if (typeof node !== 'number') release(union, node);
  release(union, parent);
}

/** The directory that holds a path's last component, with one reference, and that component. */
export function walkToParent(union: Union, path: ByteString): Named | Errno {
  acquire(union.root);
  return walkNames(union, path, union.root, { followed: 0 });
}

/** Goes through every component but the last from a directory, whose reference it takes over. */
function walkNames(union: Union, path: ByteString, from: DirectoryNode, budget: Budget): Named | Errno {
  if (path.length >= PATH_MAX) {
    release(union, from);
    return -ENAMETOOLONG;
  }
  let at = path.startsWith('/') ? exchange(union, from, union.root) : from;
  for (let rest = path; ; ) {
    const [, name, after] = /^\/*([^/]*)(.*)$/s.exec(rest)!;
    if (/^\/*$/.test(after)) return { parent: at, name, slashed: after !== '' };
    const next = step(union, at, name);
    const target = typeof next === 'number' ? next : through(union, next, budget);
    if (typeof target === 'number') {
      release(union, at);
      return target;
    }
    if (typeof target === 'string') {
      if (target.startsWith('/')) at = exchange(union, at, union.root);
      rest = target + after;
    } else {
      at = exchange(union, at, target);
      rest = after;
    }
  }
}

/** Holds another directory in place of the one so far. */
function exchange(union: Union, held: DirectoryNode, next: DirectoryNode): DirectoryNode {
  acquire(next);
  release(union, held);
  return next;
}

/** What a component that others follow leads to: a directory, the text of a symlink, or a negated errno. */
function through(union: Union, node: OverlayNode, budget: Budget): DirectoryNode | ByteString | Errno {
  if (node.isDirectory()) return node;
  const target = node.type === S_IFLNK ? follow(union, node, budget) : -ENOTDIR;
  settle(union, node);
  return target;
}

function follow(union: Union, node: OverlayNode, budget: Budget): ByteString | Errno {
  return ++budget.followed > MAX_SYMLINKS ? -ELOOP : readTarget(union, node);
}

/** Where the last component leads if it is a symlink that is followed; null where it is none. */
function lastTarget(
  union: Union,
  { parent, name, slashed }: Named,
  followLast: boolean,
  budget: Budget,
): ByteString | Errno | null {
  if (!followLast && !slashed) return null;
  const node = step(union, parent, name);
  if (typeof node === 'number') return null;
  const target = node.type === S_IFLNK ? follow(union, node, budget) : null;
  settle(union, node);
  return target;
}

function lookUpLast(union: Union, named: Named): Found {
  const node = step(union, named.parent, named.name);
  if (typeof node === 'number') return { ...named, node };
  if (named.slashed && !node.isDirectory()) {
    settle(union, node);
    return { ...named, node: -ENOTDIR };
  }
  acquire(node);
  return { ...named, node };
}

function step(union: Union, at: DirectoryNode, name: ByteString): OverlayNode | Errno {
  if (name === '' || name === '.') return at;
  return name === '..' ? (at.parent ?? union.root) : findNode(union, at, name);
}

/** A symlink's target, or a negated errno. */
export function readTarget(union: Union, node: OverlayNode): ByteString | Errno {
  if (node.type !== S_IFLNK) return -EINVAL;
  const located = union.locate(node, union.place);
  return located < 0 ? located : readLink(union.place.fd, union.place.name);
}
