// SPDX-License-Identifier: MIT
/**
 * Views and uppers as tar archives, the same bytes for the same tree: entries in
 * the order of their names, a directory before what it holds.
 *
 * The union engine is asked for everything, so owners, attributes and data are
 * what a mount shows: marks are left out, metacopies have their data, and a
 * directory that was moved has all that it holds, though its upper holds none of it.
 */
import { type ByteString, joinPath, toText } from '../base/bytes.js';
import { ENOENT } from '../base/errno.js';
import { check, OverlayError } from '../base/errors.js';
import type { Change } from '../overlay/diff.js';
import { hiddenBy, isFileOfFormat } from '../overlay/file-whiteouts.js';
import { completeListing } from '../overlay/listing.js';
import { findNode } from '../overlay/lookup.js';
import type { DirectoryNode } from '../overlay/node.js';
import type { RealDirectory } from '../overlay/real.js';
import { release, settle } from '../overlay/references.js';
import { isOpaque } from '../overlay/resolve.js';
import type { Union } from '../overlay/union.js';
import { walk } from '../overlay/walk.js';
import { listDirectory } from '../sys/entries.js';
import { close } from '../sys/files.js';
import { openReadable } from '../sys/handles.js';
import { getXattr } from '../sys/xattrs.js';
import { OPAQUE_FILE, WHITEOUT_PREFIX } from './layer-whiteouts.js';
import { NodePacker, type Rewrite } from './pack-node.js';
import { END_OF_ARCHIVE, fileEntry } from './tar-writer.js';

const GATHERED = 256 * 1024;

class Packer {
  readonly #nodes: NodePacker;

  constructor(
    private readonly union: Union,
    private readonly rewrite?: Rewrite,
  ) {
    this.#nodes = new NodePacker(union);
  }

  /** All that a directory of the view holds. */
  *view(directory: DirectoryNode, path: ByteString): Generator<Buffer> {
    check(completeListing(this.union, directory), { operation: 'list', path: toText(path) });
    const names = [...directory.entries.keys()].sort();
    for (const name of names) {
      const node = findNode(this.union, directory, name);
      if (node === -ENOENT) continue;
      const whole = joinPath(path, name);
      if (typeof node === 'number') throw this.#failed('look up', whole, node);
      yield* this.#nodes.pack(node, whole, this.rewrite);
      if (node.isDirectory()) yield* this.view(node, whole);
      settle(this.union, node);
    }
  }

  /** What the upper has of a directory: what is new or changed, and whiteouts for what is gone. */
  *upper(directory: DirectoryNode, path: ByteString): Generator<Buffer> {
    for (const name of this.#upperNames(directory, path)) {
      const whole = joinPath(path, name);
      const node = findNode(this.union, directory, name);
      if (node === -ENOENT) {
        yield fileEntry(joinPath(path, WHITEOUT_PREFIX + name), Buffer.alloc(0));
        continue;
      }
      if (typeof node === 'number') throw this.#failed('look up', whole, node);
      yield* this.#nodes.pack(node, whole, this.rewrite);
      if (node.isDirectory()) yield* this.#upperDirectory(directory, node, name, whole);
      settle(this.union, node);
    }
  }

  /** Changes of the view, sorted by path: nodes as they are, whiteouts for what is gone. */
  *changes(changes: readonly Change[]): Generator<Buffer> {
    for (const { kind, path } of changes) {
      const whole = path.slice(1);
      if (kind === 'D') {
        const at = whole.lastIndexOf('/') + 1;
        yield fileEntry(whole.slice(0, at) + WHITEOUT_PREFIX + whole.slice(at), Buffer.alloc(0));
        continue;
      }
      const node = walk(this.union, path, false);
      if (typeof node === 'number') throw this.#failed('look up', path, node);
      yield* this.#nodes.pack(node, whole, this.rewrite);
      release(this.union, node);
    }
  }

  *#upperDirectory(
    parent: DirectoryNode,
    node: DirectoryNode,
    name: ByteString,
    path: ByteString,
  ): Generator<Buffer> {
    const { directories, marks } = this.union;
    const top = this.#top(parent);
    const dir = directories.of(top);
    const isMoved = typeof getXattr(dir, name, marks.redirect) !== 'number';
    const hidesBelow = isMoved || isOpaque(this.union, top, dir, name) > 0;
    if (hidesBelow) yield fileEntry(joinPath(path, OPAQUE_FILE), Buffer.alloc(0));
    yield* isMoved ? this.view(node, path) : this.upper(node, path);
  }

  /** What the topmost layer has of a directory. Precondition: it has the directory. */
  #top({ lowers }: DirectoryNode): RealDirectory {
    return lowers[0];
  }

  /** Sorted; a whiteout that is a file gives the name that it hides. */
  #upperNames(directory: DirectoryNode, path: ByteString): ByteString[] {
    const story = { operation: 'list', path: toText(path) };
    const fd = check(openReadable(check(this.union.directories.of(this.#top(directory)), story)), story);
    const names = new Set<ByteString>();
    const status = listDirectory(fd, (name) => {
      const shown = isFileOfFormat(name) ? hiddenBy(name) : name;
      if (shown !== '') names.add(shown);
      return true;
    });
    close(fd);
    check(status, story);
    return [...names].sort();
  }

  #failed(operation: string, path: ByteString, status: number): OverlayError {
    return new OverlayError({ operation, path: toText(path), errno: status });
  }
}

/** Puts small pieces together: each one is a turn of the event loop and of a thread for who compresses it. */
export function* gathered(pieces: Iterable<Buffer>): Generator<Buffer> {
  let waiting: Buffer[] = [];
  let size = 0;
  for (const piece of pieces) {
    waiting.push(piece);
    size += piece.length;
    if (size < GATHERED) continue;
    yield Buffer.concat(waiting);
    waiting = [];
    size = 0;
  }
  yield Buffer.concat([...waiting, END_OF_ARCHIVE]);
}

/** The whole merged view, as a root file system. */
export function packView(union: Union, rewrite?: Rewrite): Generator<Buffer> {
  return gathered(new Packer(union, rewrite).view(union.root, ''));
}

/** What a directory of the view holds; the directory itself is no entry. */
export function packDirectory(union: Union, directory: DirectoryNode): Generator<Buffer> {
  return gathered(new Packer(union).view(directory, ''));
}

/**
 * What an upper changes, as a layer on top of the others. Only directories that the
 * upper has are visited. Precondition: the union is read-only, with the upper as
 * its topmost layer.
 */
export function packUpper(union: Union, rewrite?: Rewrite): Generator<Buffer> {
  return gathered(new Packer(union, rewrite).upper(union.root, ''));
}

/** The changes of a view that has no upper, as a layer; sorted by path. */
export function packChanges(union: Union, changes: readonly Change[], rewrite?: Rewrite): Generator<Buffer> {
  return gathered(new Packer(union, rewrite).changes(changes));
}
