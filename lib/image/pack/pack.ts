// SPDX-License-Identifier: MIT
/**
 * Views and uppers as tar archives, the same bytes for the same tree: entries in
 * the order of their names, a directory before what it holds.
 *
 * The union engine is asked for everything, so owners, attributes and data are
 * what a mount shows: marks are left out, metacopies have their data, and a
 * directory that was moved has all that it holds, though its upper holds none of it.
 */
import { type ByteString, joinPath, toText } from '../../base/bytes.js';
import { ENOENT } from '../../base/errno.js';
import { check, OverlayError } from '../../base/errors.js';
import { hiddenBy, isFileOfFormat } from '../../overlay/formats/whiteout-names.js';
import type { Change } from '../../overlay/inspect/diff.js';
import type { RealDirectory } from '../../overlay/layers/layer.js';
import { completeListing } from '../../overlay/names/listing.js';
import { findNode } from '../../overlay/names/lookup.js';
import { namesByIndex } from '../../overlay/names/names-by-index.js';
import { isOpaque } from '../../overlay/names/resolve.js';
import { walk } from '../../overlay/names/walk.js';
import type { DirectoryNode } from '../../overlay/nodes/node.js';
import { release, settle } from '../../overlay/nodes/references.js';
import type { Union } from '../../overlay/nodes/union.js';
import { listDirectory } from '../../sys/entries.js';
import { close } from '../../sys/files.js';
import { openReadable } from '../../sys/handles.js';
import { getXattr } from '../../sys/xattrs.js';
import { END_OF_ARCHIVE, fileEntry } from '../tar/writer.js';
import { OPAQUE_FILE, WHITEOUT_PREFIX } from '../unpack/layer-whiteouts.js';
import { NodePacker, type Rewrite } from './node.js';

const GATHERED = 256 * 1024;

/** A directory that is being packed. */
interface Level {
  directory: DirectoryNode;
  path: ByteString;
  /** What the upper has of it, and not all. */
  changed: boolean;
  names: readonly ByteString[];
  at: number;
}

class Packer {
  readonly #nodes: NodePacker;
  /** What `below` has packed, of an upper with an index. */
  readonly #packed = new Set<ByteString>();

  constructor(
    private readonly union: Union,
    private readonly rewrite?: Rewrite,
    private readonly isLayer = false,
  ) {
    this.#nodes = new NodePacker(union);
  }

  /**
   * All that a directory of the view holds; or, with `changed`, what the upper has of it:
   * what is new or changed, and whiteouts for what is gone. No recursion: a tree may be
   * deeper than the stack.
   */
  *below(directory: DirectoryNode, changed: boolean): Generator<Buffer> {
    const { union } = this;
    const levels = [this.#level(directory, '', changed)];
    for (let level = levels.at(-1); level !== undefined; level = levels.at(-1)) {
      if (level.at === level.names.length) {
        levels.pop();
        settle(union, level.directory);
        continue;
      }
      const name = level.names[level.at++];
      const path = joinPath(level.path, name);
      const node = findNode(union, level.directory, name);
      if (node === -ENOENT) {
        if (level.changed) yield fileEntry(joinPath(level.path, WHITEOUT_PREFIX + name), Buffer.alloc(0));
        continue;
      }
      if (typeof node === 'number') throw this.#failed('look up', path, node);
      if (this.isLayer) refuseWhiteoutName(name, path);
      if (union.index !== null) this.#packed.add(path);
      yield* this.#nodes.pack(node, path, this.rewrite);
      if (node.isDirectory()) levels.push(yield* this.#enter(level, node, name, path));
      else settle(union, node);
    }
  }

  /** All that an upper changes: what it has, and names that show one of its files by the index. */
  *upper(): Generator<Buffer> {
    yield* this.below(this.union.root, true);
    const more = namesByIndex(this.union).filter((path) => !this.#packed.has(path.slice(1)));
    yield* this.changes(more.map((path): Change => ({ kind: 'C', path })));
  }

  #level(directory: DirectoryNode, path: ByteString, changed: boolean): Level {
    const names = changed ? this.#upperNames(directory, path) : this.#names(directory, path);
    return { directory, path, changed, names, at: 0 };
  }

  #names(directory: DirectoryNode, path: ByteString): ByteString[] {
    check(completeListing(this.union, directory), { operation: 'list', path: toText(path) });
    return [...directory.entries.keys()].sort();
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
      refuseWhiteoutName(path.slice(path.lastIndexOf('/') + 1), path);
      yield* this.#nodes.pack(node, whole, this.rewrite);
      release(this.union, node);
    }
  }

  /** Of one that hides what lies below it, a mark comes first; one that was moved has all that it shows. */
  *#enter(parent: Level, node: DirectoryNode, name: ByteString, path: ByteString): Generator<Buffer, Level> {
    if (!parent.changed) return this.#level(node, path, false);
    const { directories, marks } = this.union;
    const top = this.#top(parent.directory);
    const dir = directories.of(top);
    const isMoved = typeof getXattr(dir, name, marks.redirect) !== 'number';
    const hidesBelow = isMoved || isOpaque(this.union, top, dir, name) === true;
    if (hidesBelow) yield fileEntry(joinPath(path, OPAQUE_FILE), Buffer.alloc(0));
    return this.#level(node, path, !isMoved);
  }

  /** What the topmost layer has of a directory. Precondition: it has the directory. */
  #top({ lowers }: DirectoryNode): RealDirectory {
    return lowers[0];
  }

  /** Sorted; a whiteout that is a file gives the name that it hides. */
  #upperNames(directory: DirectoryNode, path: ByteString): ByteString[] {
    const story = { operation: 'list', path: toText(path) };
    const top = this.#top(directory);
    const fd = check(openReadable(check(this.union.directories.of(top), story)), story);
    const names = new Set<ByteString>();
    const status = listDirectory(fd, (name) => {
      const shown = top.layer.readsFiles && isFileOfFormat(name) ? hiddenBy(name) : name;
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

/** In a layer's archive such a name hides another one, whatever it is (image-spec layer.md, "Whiteouts"). */
function refuseWhiteoutName(name: ByteString, path: ByteString): void {
  if (!isFileOfFormat(name)) return;
  throw new OverlayError({
    operation: 'put into a layer',
    path: toText(path),
    reason: 'in an image layer a name that begins with .wh. stands for something removed',
    remedy: 'rename or remove it first',
  });
}

/** Puts small pieces together: each one costs a turn of the event loop, and of a thread that compresses. */
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
  return gathered(new Packer(union, rewrite).below(union.root, false));
}

/** What a directory of the view holds; the directory itself is no entry. */
export function packDirectory(union: Union, directory: DirectoryNode): Generator<Buffer> {
  return gathered(new Packer(union).below(directory, false));
}

/**
 * What an upper changes, as a layer on top of the others. Only directories that the
 * upper has are visited. Precondition: the union is read-only, with the upper as
 * its topmost layer.
 */
export function packUpper(union: Union, rewrite?: Rewrite): Generator<Buffer> {
  return gathered(new Packer(union, rewrite, true).upper());
}

/** The changes of a view that has no upper, as a layer; sorted by path. */
export function packChanges(union: Union, changes: readonly Change[], rewrite?: Rewrite): Generator<Buffer> {
  return gathered(new Packer(union, rewrite).changes(changes));
}
