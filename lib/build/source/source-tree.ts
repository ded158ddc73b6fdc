// SPDX-License-Identifier: MIT
/**
 * Where COPY and ADD take files from: the context, a stage, an image, an archive, each
 * as a read-only union, so that no symlink leads out of it and names are bytes.
 */
import { posix } from 'node:path';
import { type ByteString, fromText, toText } from '../../base/bytes.js';
import { ENOENT, ENOTDIR } from '../../base/errno.js';
import { check, OverlayError } from '../../base/errors.js';
import type { LayerSet } from '../../overlay/layers/layer-set.js';
import { completeListing } from '../../overlay/names/listing.js';
import { findNode } from '../../overlay/names/lookup.js';
import { readTarget, walk } from '../../overlay/names/walk.js';
import { Measured } from '../../overlay/nodes/measured.js';
import type { OverlayNode } from '../../overlay/nodes/node.js';
import { acquire, release } from '../../overlay/nodes/references.js';
import type { Union } from '../../overlay/nodes/union.js';
import { openUnion } from '../../overlay/open/open.js';
import { globToRegExp, hasWildcard, isGlob } from '../language/glob.js';
import type { DigestMemo } from './digest-memo.js';

/** Something that is to be copied. Its node has a reference that `release` gives back. */
export interface Found {
  tree: SourceTree;
  node: OverlayNode;
  /** From the root of the tree, as it was asked for; empty for the root. */
  path: ByteString;
  /** How many directories of the path `--parents` leaves out. */
  pivot: number;
}

export interface FindOptions {
  /** As `--parents` has it: `/./` is where the directories begin that are kept, and `**` any number of them. */
  parents?: boolean;
}

/** From the root, above which nothing leads, as that of an image is. */
function fromRoot(text: string): string {
  return posix.join('/', text).slice(1).replace(/\/$/, '');
}

export class SourceTree implements Disposable {
  readonly union: Union;
  readonly #taken: OverlayNode[] = [];

  constructor(
    layers: LayerSet,
    /** For messages: `the context`. */
    readonly name: string,
    /** Owners stay; those of a context mean nothing in an image. */
    readonly keepsOwners: boolean,
    /** Of a context: a directory that is built from again and again. */
    readonly memo?: DigestMemo,
  ) {
    this.union = openUnion({ ...layers, readOnly: true });
  }

  /**
   * What a source of COPY means: itself, or all that match its pattern, be it nothing. Throws an
   * OverlayError for a name that is not there.
   */
  find(text: string, { parents = false }: FindOptions = {}): Found[] {
    const pivotAt = parents ? text.indexOf('/./') : -1;
    const above = pivotAt < 0 ? '' : fromRoot(text.slice(0, pivotAt));
    const pivot = above === '' ? 0 : above.split('/').length;
    const path = fromRoot(`${above}/${fromRoot(text.slice(pivotAt + 1))}`);
    if (!isGlob(path)) return [this.#take(fromText(path), text, pivot)];
    const found = this.#match(path, parents).map((one) => this.#take(one, text, pivot));
    if (found.length > 0 || hasWildcard(path)) return found;
    throw this.#missing(text, `there is no such file in ${this.name}`);
  }

  #take(path: ByteString, asked: string, pivot: number): Found {
    const node = walk(this.union, path, true);
    if (typeof node === 'number') {
      if (node === -ENOENT || node === -ENOTDIR) throw this.#missing(asked, this.#explain(path));
      throw new OverlayError({ operation: 'copy', path: asked, errno: node });
    }
    this.#taken.push(node);
    return { tree: this, node, path, pivot };
  }

  #missing(asked: string, reason: string): OverlayError {
    const remedy =
      this.memo === undefined ? 'see the name' : 'see the name, and what .dockerignore leaves out';
    return new OverlayError({ operation: 'copy', path: asked, reason, remedy });
  }

  /** Why there is nothing: often a symlink that leads elsewhere. */
  #explain(path: ByteString): string {
    const parts = path.split('/');
    for (let count = 1; count <= parts.length; count++) {
      const prefix = parts.slice(0, count).join('/');
      const node = walk(this.union, prefix, false);
      if (typeof node === 'number') break;
      const target = readTarget(this.union, node);
      release(this.union, node);
      if (typeof target === 'number') continue;
      const through = walk(this.union, prefix, true);
      if (typeof through === 'number')
        return `${toText(prefix)} is a symlink to ${toText(target)}, which leads to nothing in ${this.name}`;
      release(this.union, through);
    }
    return `there is no such file in ${this.name}`;
  }

  /** Directories that a pattern only passes through may be symlinks. */
  #match(pattern: string, doubleStar: boolean): ByteString[] {
    let paths: ByteString[] = [''];
    for (const part of pattern.split('/')) {
      const next = paths.flatMap((path) =>
        doubleStar && part === '**' ? this.#directories(path) : this.#children(path, part),
      );
      paths = [...new Set(next)];
    }
    return paths;
  }

  /** A directory and those below it; symlinks lead to none. */
  #directories(path: ByteString): ByteString[] {
    const top = walk(this.union, path, true);
    if (typeof top === 'number') return [];
    const all: ByteString[] = [];
    if (top.isDirectory()) {
      all.push(path);
      for (const { node, path: below } of walkBelow(this.union, top, () => false))
        if (node.isDirectory()) all.push(path === '' ? below : `${path}/${below}`);
    }
    release(this.union, top);
    return all;
  }

  #children(path: ByteString, part: string): ByteString[] {
    const join = (name: ByteString): ByteString => (path === '' ? name : `${path}/${name}`);
    if (!isGlob(part)) {
      const node = walk(this.union, join(fromText(part)), true);
      if (typeof node === 'number') return [];
      release(this.union, node);
      return [join(fromText(part))];
    }
    const expression = globToRegExp(part);
    return this.list(path)
      .filter((name) => expression.test(toText(name)))
      .map(join);
  }

  /** The names in a directory, sorted; none in what is no directory. */
  list(path: ByteString): ByteString[] {
    const node = walk(this.union, path, true);
    if (typeof node === 'number') return [];
    const names = node.isDirectory() ? namesIn(this.union, node, path) : [];
    release(this.union, node);
    return names;
  }

  [Symbol.dispose](): void {
    for (const node of this.#taken) release(this.union, node);
    this.union.close();
  }
}

function namesIn(union: Union, node: OverlayNode, path: ByteString): ByteString[] {
  if (!node.isDirectory()) return [];
  check(completeListing(union, node), { operation: 'list', path: toText(path) });
  return [...node.entries.keys()].sort();
}

export interface Visited {
  node: OverlayNode;
  /** From the directory where the walk began. */
  path: ByteString;
  /** What was read of it on the way; until the walk goes on. */
  measured: Measured;
}

/**
 * All that lies below a directory, each before what it holds. A node is the walker's:
 * a caller that keeps it acquires it. What `skips` says yes to is left out with all below it.
 */
export function* walkBelow(
  union: Union,
  directory: OverlayNode,
  skips: (path: ByteString) => boolean,
): Generator<Visited> {
  const measured = new Measured();
  // No recursion: a layer may have a tree that is deeper than the stack.
  const levels: Level[] = [{ node: directory, path: '', names: namesIn(union, directory, ''), at: 0 }];
  for (let level = levels.at(-1); level !== undefined; level = levels.at(-1)) {
    if (level.at === level.names.length) {
      levels.pop();
      if (levels.length > 0) release(union, level.node);
      continue;
    }
    const name = level.names[level.at++];
    const path = level.path === '' ? name : `${level.path}/${name}`;
    if (skips(path) || !level.node.isDirectory()) continue;
    const node = findNode(union, level.node, name, measured.into(measured.stat));
    if (node === -ENOENT) continue;
    if (typeof node === 'number')
      throw new OverlayError({ operation: 'look up', path: toText(path), errno: node });
    acquire(node);
    yield { node, path, measured };
    if (node.isDirectory()) levels.push({ node, path, names: namesIn(union, node, path), at: 0 });
    else release(union, node);
  }
}

/** A directory that a walk is in; all but the first are held by the walk. */
interface Level {
  node: OverlayNode;
  path: ByteString;
  names: readonly ByteString[];
  at: number;
}
