// SPDX-License-Identifier: MIT
/**
 * Nodes: the files of the merged view, as the kernel and the library know them.
 *
 * A node is found by its id, or by its name in its parent's entries. It stays
 * in the table while somebody counts on it (`references`: lookups the kernel has
 * not forgotten, handles of the library) or while a known child hangs below it.
 *
 * There are no locks: one thread serves a union, and a request runs from its
 * first system call to its answer without a break. The invariants between two
 * requests:
 * - `table.get(id)` is the node, until it is dropped; an id is never used again.
 * - a node that has a name is the `node` of exactly the entries in `names`;
 * - a directory has an `upper` real directory, or lowers, or both.
 */
import type { ByteString } from '../../base/bytes.js';
import { S_IFDIR, type Stat } from '../../sys/stat.js';
import type { Indexed } from '../layers/index-directory.js';
import type { RealDirectory } from '../layers/layer.js';
import { type FileData, OWN, type Where } from './file-content.js';

/** One name in a merged directory. */
export class Entry {
  node: OverlayNode | null = null;
  /** Position in the listing (cookies.ts). */
  cookie = 0;
  removed = false;
  /**
   * Which real directories a lookup has to ask: 0 is the upper, i + 1 the
   * directory's i-th lower, top first. Null: not known, ask them all.
   */
  places: readonly number[] | null = null;
  /** Whether a lower layer has the name too; undefined while nobody asked. */
  below: boolean | undefined = undefined;
  inodeLow = 0;
  inodeHigh = 0;
  /** False while the inode number is not known without a lookup. */
  inodeKnown = false;

  constructor(
    readonly directory: DirectoryNode,
    readonly name: ByteString,
    public type: number,
  ) {}
}

abstract class BaseNode {
  references = 0;
  inodeLow = 0;
  inodeHigh = 0;
  /** The journal has it. */
  recorded = false;
  /** The names known so far; the first one is the way to the file. */
  names: Entry[] = [];

  constructor(
    readonly id: number,
    readonly type: number,
  ) {}

  get parent(): DirectoryNode | null {
    return this.names.length > 0 ? this.names[0].directory : null;
  }

  get name(): ByteString {
    return this.names.length > 0 ? this.names[0].name : '';
  }
}

export class FileNode extends BaseNode {
  data: FileData = OWN;
  /** The file is known to have no capability: the kernel asks before every first write and every chown. */
  lacksCapability = false;
  /** Keys in the table of files with several names; null for the many that are not in it. */
  linkKeys: string[] | null = null;

  constructor(
    id: number,
    type: number,
    /** Changed by `setWhere`, which tells the journal. */
    public where: Where,
  ) {
    super(id, type);
  }

  isDirectory(): this is DirectoryNode {
    return false;
  }

  /** What the index knows of a file with several names. */
  get indexed(): Indexed | null {
    const { where } = this;
    return where.kind === 'lower' || where.kind === 'index' ? where.indexed : null;
  }
}

export class DirectoryNode extends BaseNode {
  upper: RealDirectory | null = null;
  lowers: readonly RealDirectory[] = [];
  /** What is known of its names: all of them if `complete`, else those that were looked up. */
  entries = new Map<ByteString, Entry>();
  complete = false;
  /** When complete: the entries, removed ones among them until they are swept; by cookie if `ordered`. */
  order: Entry[] = [];
  ordered = true;
  /** When complete: cookies of names that lower layers have and the view does not, for when they come back. */
  vacant = new Map<ByteString, number>();
  /** When complete: names that the upper hides by a whiteout. */
  whiteouts = new Set<ByteString>();
  /** Layer probes that found nothing since the directory became known. */
  misses = 0;
  /** Known children: the node is not dropped while there are any. */
  children = 0;
  /** The upper holds entries with an origin; undefined until asked. */
  impure: boolean | undefined = undefined;
  /** Its last name is gone; it has no entries any more and gets none. */
  dead = false;
  /** What is left to see of it then, where the directory itself may not outlive the server. */
  remains: Stat | null = null;

  constructor(id: number) {
    super(id, S_IFDIR);
  }

  isDirectory(): this is DirectoryNode {
    return true;
  }

  /** Whether lower layers show through, so that a removed name needs a whiteout. */
  get merges(): boolean {
    return this.lowers.length > 0;
  }
}

export type OverlayNode = FileNode | DirectoryNode;

/** The name in the work directory of what stands for a file without a name; null for any other node. */
export function orphanOf(node: OverlayNode): ByteString | null {
  return !node.isDirectory() && node.where.kind === 'orphan' ? node.where.name : null;
}

const ROOT_ID = 1;

/** The nodes by id, and files that have several names by their real inode. */
export class NodeTable {
  readonly #nodes = new Map<number, OverlayNode>();
  readonly #linked = new Map<string, FileNode>();
  #nextId = ROOT_ID;
  #givenId = 0;

  /** The id that the next new node gets. */
  get nextId(): number {
    return this.#nextId;
  }

  /** Ids below this one were given away by an earlier server. */
  startAt(id: number): void {
    this.#nextId = Math.max(this.#nextId, id);
  }

  /** The node that `make` adds to the table gets this id, which it had before the restart. */
  withId<T>(id: number, make: () => T): T {
    this.#givenId = id;
    try {
      return make();
    } finally {
      this.#givenId = 0;
    }
  }

  #takeId(): number {
    const given = this.#givenId;
    this.#givenId = 0;
    return given === 0 ? this.#nextId++ : given;
  }

  get size(): number {
    return this.#nodes.size;
  }

  get(id: number): OverlayNode | undefined {
    return this.#nodes.get(id);
  }

  values(): IterableIterator<OverlayNode> {
    return this.#nodes.values();
  }

  addFile(type: number, where: Where): FileNode {
    const node = new FileNode(this.#takeId(), type, where);
    this.#nodes.set(node.id, node);
    return node;
  }

  addDirectory(): DirectoryNode {
    const node = new DirectoryNode(this.#takeId());
    this.#nodes.set(node.id, node);
    return node;
  }

  /** The node of a file that may have been found under another name before. */
  linkedFile(key: string): FileNode | undefined {
    return this.#linked.get(key);
  }

  rememberLinks(node: FileNode, key: string): void {
    if (this.#linked.get(key) === node) return;
    node.linkKeys = [...(node.linkKeys ?? []), key];
    this.#linked.set(key, node);
  }

  delete(node: OverlayNode): void {
    this.#nodes.delete(node.id);
    if (node.isDirectory()) return;
    for (const key of node.linkKeys ?? []) this.#linked.delete(key);
  }
}

/** Ties a node to a name; the parent counts one more known child. */
export function attach(entry: Entry, node: OverlayNode): void {
  entry.node = node;
  node.names.push(entry);
  entry.directory.children++;
}

/** Takes a name from a node. The entry itself stays or goes as its directory decides. */
export function detach(entry: Entry): void {
  const node = entry.node;
  if (node === null) return;
  entry.node = null;
  node.names.splice(node.names.indexOf(entry), 1);
  entry.directory.children--;
}
