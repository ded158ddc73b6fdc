// SPDX-License-Identifier: MIT
/**
 * The state of one union: its layers, its nodes, its open descriptors. The
 * modules of this room are functions over it, one file a subject.
 *
 * Who serves a union is one thread; nothing here is shared between threads.
 */
import type { ByteString } from '../../base/bytes.js';
import { ENOENT, type Errno, ESTALE } from '../../base/errno.js';
import { close } from '../../sys/files.js';
import type { Marks } from '../formats/marks.js';
import type { Intent } from '../journal/intent.js';
import type { Journal } from '../journal/journal.js';
import type { Recovered } from '../journal/recovered.js';
import { DirectoryDescriptors } from '../layers/directory-descriptors.js';
import type { UnionFeatures } from '../layers/features.js';
import type { IndexDirectory } from '../layers/index-directory.js';
import type { Layer } from '../layers/layer.js';
import { LayerWatch } from '../layers/layer-watch.js';
import type { WorkDirectory } from '../layers/work.js';
import { type LazyCopy, type LowerPlace, sourceOf } from './file-content.js';
import { FileDescriptors } from './file-descriptors.js';
import { InodeNumbers } from './inodes.js';
import { type DirectoryNode, type FileNode, NodeTable, type OverlayNode } from './node.js';

/** Where a file can be named for a system call. */
export interface Place {
  fd: number;
  name: string;
}

/** What a union is made of. */
export interface UnionLayers {
  readonly upper: Layer | null;
  readonly lowers: readonly Layer[];
  /** Reached only for the data of metacopies; below all others. */
  readonly dataLayers: readonly Layer[];
  /** Null where nothing can be changed. */
  readonly work: WorkDirectory | null;
  /** Keeps hard links together over copy-up; null where there is none. Of an upper that is only read too. */
  readonly index: IndexDirectory | null;
}

export class Union implements UnionLayers {
  readonly upper: Layer | null;
  readonly lowers: readonly Layer[];
  readonly dataLayers: readonly Layer[];
  readonly work: WorkDirectory | null;
  readonly index: IndexDirectory | null;
  readonly nodes = new NodeTable();
  readonly numbers = new InodeNumbers();
  /** Which layer is asked, and which are not to be. */
  readonly watch = { current: LayerWatch.private() };
  readonly directories: DirectoryDescriptors;
  readonly files: FileDescriptors;
  /** Directories whose listing is complete, the longest unused first. */
  readonly listings = new Set<DirectoryNode>();
  listedEntries = 0;
  /** Files whose copy-up is in flight, the oldest first. */
  readonly lazy = new Map<FileNode, LazyCopy>();
  /** Paths of copies that an earlier server had in flight and that cannot be gone on with yet (lazy-recovery.ts). */
  readonly unresumed = new Set<ByteString>();
  /** Keeps what a new server must know of this one's state; null where none will come. */
  journal: Journal | null = null;
  /** Nodes of an earlier server that nobody has asked for yet; null when there are none. */
  recovered: Recovered | null = null;
  /** What the request that is being served was about to do when an earlier server served it. */
  redo: Intent | null = null;
  /** A scratch record; valid until the next call into the union. */
  readonly place: Place = { fd: -1, name: '' };
  root!: DirectoryNode;

  constructor(
    layers: UnionLayers,
    readonly marks: Marks,
    readonly features: UnionFeatures,
    descriptorLimit: number,
  ) {
    this.upper = layers.upper;
    this.lowers = layers.lowers;
    this.dataLayers = layers.dataLayers;
    this.work = layers.work;
    this.index = layers.index;
    this.directories = new DirectoryDescriptors(Math.max(64, Math.floor(descriptorLimit / 2)), this.watch);
    this.files = new FileDescriptors(Math.max(32, Math.floor(descriptorLimit / 4)), this.watch);
    if (this.upper !== null) this.numbers.register(this.upper.fileSystem);
    for (const lower of [...this.lowers, ...this.dataLayers]) this.numbers.register(lower.fileSystem);
  }

  /** The upper, also where it is only read and therefore the first of the lower layers. */
  get topmost(): Layer {
    return this.upper ?? this.lowers[0];
  }

  /** Whether the merged view can be changed. */
  get writable(): boolean {
    return this.work !== null;
  }

  /**
   * Finds where a node's data and attributes are: in the upper if it is there,
   * else in its topmost lower. Answers 0, or a negated errno.
   */
  locate(node: OverlayNode, place: Place): Errno {
    if (!node.isDirectory()) return this.#locateFile(node, place);
    const real = node.upper ?? node.lowers[0];
    if (real === undefined) return -ESTALE;
    place.fd = this.directories.of(real);
    place.name = '.';
    return place.fd < 0 ? gone(place.fd) : 0;
  }

  #locateFile(node: FileNode, place: Place): Errno {
    const { where } = node;
    switch (where.kind) {
      case 'lower':
        return this.#locateLower(where, place);
      case 'upper':
        place.fd = this.directories.of(node.parent!.upper!);
        place.name = node.name;
        return place.fd < 0 ? gone(place.fd) : 0;
      case 'index':
        place.fd = this.index!.fd;
        place.name = where.indexed.name;
        return 0;
      case 'orphan':
        place.fd = this.work!.fd;
        place.name = where.name;
        return 0;
    }
  }

  #locateLower({ directory, name }: LowerPlace, place: Place): Errno {
    place.fd = this.directories.of(directory);
    place.name = name;
    return place.fd < 0 ? gone(place.fd) : 0;
  }

  /** Finds where a file's data is; as `locate`, but for a metacopy. */
  locateData(node: OverlayNode, place: Place): Errno {
    const source = node.isDirectory() ? null : sourceOf(node.data);
    return source === null ? this.locate(node, place) : this.#locateLower(source, place);
  }

  /** The layer of the object that stands for a file. */
  layerOf({ where }: FileNode): Layer {
    return where.kind === 'lower' ? where.directory.layer : this.topmost;
  }

  /** Closes every descriptor. The union cannot be used afterwards. */
  close(): void {
    this.files.closeAll();
    this.directories.closeAll();
    for (const node of this.nodes.values()) this.#unpin(node);
    this.work?.close();
    this.index?.close();
    if (this.upper !== null) close(this.upper.fd);
    for (const lower of [...this.lowers, ...this.dataLayers]) close(lower.fd);
  }

  #unpin(node: OverlayNode): void {
    if (!node.isDirectory()) return;
    if (node.upper !== null) this.directories.forget(node.upper);
    for (const lower of node.lowers) this.directories.forget(lower);
  }
}

/**
 * A name that was known to be there and is not: somebody changed a layer under
 * the mount. ESTALE says so, where ENOENT would claim that there never was one.
 */
export function gone(status: Errno): Errno {
  return status === -ENOENT ? -ESTALE : status;
}
