// SPDX-License-Identifier: MIT
/**
 * What a COPY puts where: the sources merged into a tree over what is there, with the
 * rules of the Dockerfile reference, "COPY". A directory's content is copied, not
 * itself; directories merge; a file takes a file's place; one does not take the
 * other's. Symlinks on the way to the destination are followed, in the image.
 */
import { type ByteString, components, toText } from '../../base/bytes.js';
import { ENOENT } from '../../base/errno.js';
import { OverlayError } from '../../base/errors.js';
import { findNode } from '../../overlay/names/lookup.js';
import { readTarget } from '../../overlay/names/walk.js';
import type { DirectoryNode, OverlayNode } from '../../overlay/nodes/node.js';
import { acquire, release } from '../../overlay/nodes/references.js';
import type { Union } from '../../overlay/nodes/union.js';
import { S_IFLNK } from '../../sys/stat.js';
import { type Found, type SourceTree, walkBelow } from '../source/source-tree.js';

/** As many symlinks as the kernel follows in one path (MAXSYMLINKS). */
const MAX_SYMLINKS = 40;

/** A node of a source. */
export interface Origin {
  tree: SourceTree;
  node: OverlayNode;
}

export class TreeDirectory {
  readonly children = new Map<ByteString, TreeDirectory | Origin>();
  /** Where its attributes come from; undefined where it stays as it is below, or is made as a plain one. */
  origin: Origin | undefined;

  constructor(
    readonly parent: TreeDirectory | undefined,
    readonly name: ByteString,
    /** The same directory in the layers below, if it is there. */
    readonly below: DirectoryNode | undefined,
  ) {}

  get path(): ByteString {
    return this.parent === undefined ? '' : `${this.parent.path}/${this.name}`;
  }
}

export class CopyTree implements Disposable {
  readonly root: TreeDirectory;
  readonly #held: [union: Union, node: OverlayNode][] = [];

  /** `base` is the image so far; undefined for one that is not looked at (`--link`), or empty. */
  constructor(private readonly base: Union | undefined) {
    this.root = new TreeDirectory(undefined, '', base?.root);
  }

  /**
   * Copies a source to a path in the image. `asDirectory`: the destination is one, as
   * its name, or that there are more sources, says. `skips` leaves paths below the source out.
   */
  copy(
    source: Found,
    destination: ByteString,
    asDirectory: boolean,
    skips: (path: ByteString) => boolean,
  ): void {
    const { tree, node, path } = source;
    if (node.isDirectory()) {
      this.#copyDirectory({ tree, node }, destination, skips);
      return;
    }
    const name = components(path).at(-1) ?? '';
    if (skips(name)) return;
    const isInto = asDirectory || this.#isDirectory(destination);
    const parts = components(destination);
    const directory = this.#open(isInto ? parts : parts.slice(0, -1), destination);
    this.#put(directory, isInto ? name : (parts.at(-1) ?? ''), this.#hold({ tree, node }));
  }

  /** Answers false where the directory is there already. */
  makeDirectory(path: ByteString): boolean {
    if (this.#isDirectory(path)) return false;
    this.#open(components(path), path);
    return true;
  }

  #copyDirectory(origin: Origin, destination: ByteString, skips: (path: ByteString) => boolean): void {
    // The directory itself is not copied: one that is there stays as it is, and a new one is a plain one.
    const top = this.#open(components(destination), destination);
    const made = new Map<ByteString, TreeDirectory>([['', top]]);
    for (const { node, path } of walkBelow(origin.tree.union, origin.node, skips)) {
      const at = path.lastIndexOf('/');
      const parent = made.get(path.slice(0, Math.max(0, at)))!;
      const name = path.slice(at + 1);
      const own = this.#hold({ tree: origin.tree, node });
      if (node.isDirectory()) made.set(path, this.#merge(parent, name, own));
      else this.#put(parent, name, own);
    }
  }

  #hold(origin: Origin): Origin {
    acquire(origin.node);
    this.#held.push([origin.tree.union, origin.node]);
    return origin;
  }

  /** What is at a name: copied already, or in the image. Undefined where nothing is. */
  #look(directory: TreeDirectory, name: ByteString): TreeDirectory | Origin | OverlayNode | undefined {
    const copied = directory.children.get(name);
    if (copied !== undefined || directory.below === undefined) return copied;
    const node = findNode(this.base!, directory.below, name);
    if (node === -ENOENT) return undefined;
    if (typeof node === 'number')
      throw new OverlayError({
        operation: 'look up',
        path: toText(`${directory.path}/${name}`),
        errno: node,
      });
    acquire(node);
    this.#held.push([this.base!, node]);
    return node;
  }

  #enter(directory: TreeDirectory, name: ByteString, below: DirectoryNode | undefined): TreeDirectory {
    const entered = new TreeDirectory(directory, name, below);
    directory.children.set(name, entered);
    return entered;
  }

  #merge(parent: TreeDirectory, name: ByteString, origin: Origin): TreeDirectory {
    const there = this.#look(parent, name);
    if (there !== undefined && !isDirectory(there)) throw this.#clash(parent, name, 'a directory', 'a file');
    const below =
      there instanceof TreeDirectory || there === undefined ? undefined : (there as DirectoryNode);
    const directory = there instanceof TreeDirectory ? there : this.#enter(parent, name, below);
    directory.origin = origin;
    return directory;
  }

  #put(directory: TreeDirectory, name: ByteString, origin: Origin): void {
    const there = this.#look(directory, name);
    if (there !== undefined && isDirectory(there))
      throw this.#clash(directory, name, 'a file', 'a directory');
    directory.children.set(name, origin);
  }

  #clash({ path }: TreeDirectory, name: ByteString, wanted: string, there: string): OverlayError {
    return new OverlayError({
      operation: 'copy to',
      path: toText(`${path}/${name}`),
      reason: `it is ${there} in the image, and would become ${wanted}`,
      remedy: 'remove it first, or copy elsewhere',
    });
  }

  #isDirectory(destination: ByteString): boolean {
    const found = this.#follow(components(destination), destination, false);
    return found !== undefined;
  }

  /** The directory at a path; what is missing of it is made. */
  #open(parts: readonly ByteString[], destination: ByteString): TreeDirectory {
    return this.#follow(parts, destination, true)!;
  }

  /** Goes along a path; where `makes` is not set, undefined for one that leads to no directory. */
  #follow(parts: readonly ByteString[], destination: ByteString, makes: boolean): TreeDirectory | undefined {
    const pending = [...parts].reverse();
    let at = this.root;
    let links = 0;
    for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
      const there = name === '..' ? (at.parent ?? at) : this.#look(at, name);
      if (there === undefined && !makes) return undefined;
      if (there === undefined || isDirectory(there)) {
        at = this.#step(at, name, there as TreeDirectory | DirectoryNode | undefined);
        continue;
      }
      const target = this.#target(there as Origin | OverlayNode);
      if (target === undefined || ++links > MAX_SYMLINKS) {
        if (!makes) return undefined;
        throw this.#obstacle(at, name, destination);
      }
      pending.push(...components(target).reverse());
      if (target.startsWith('/')) at = this.root;
    }
    return at;
  }

  #step(
    at: TreeDirectory,
    name: ByteString,
    there: TreeDirectory | DirectoryNode | undefined,
  ): TreeDirectory {
    return there instanceof TreeDirectory ? there : this.#enter(at, name, there);
  }

  #obstacle({ path }: TreeDirectory, name: ByteString, destination: ByteString): OverlayError {
    return new OverlayError({
      operation: 'copy to',
      path: toText(destination),
      reason: `${toText(`${path}/${name}`)} is not a directory in the image`,
      remedy: 'copy elsewhere',
    });
  }

  /** Of a symlink; undefined for anything else. */
  #target(there: Origin | OverlayNode): ByteString | undefined {
    const [union, node] = 'tree' in there ? [there.tree.union, there.node] : [this.base!, there];
    if (node.type !== S_IFLNK) return undefined;
    const target = readTarget(union, node);
    return typeof target === 'number' ? undefined : target;
  }

  [Symbol.dispose](): void {
    for (const [union, node] of this.#held) release(union, node);
  }
}

function isDirectory(there: TreeDirectory | Origin | OverlayNode): boolean {
  if (there instanceof TreeDirectory) return true;
  return 'tree' in there ? there.node.isDirectory() : there.isDirectory();
}
