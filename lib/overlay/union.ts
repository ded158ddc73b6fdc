// SPDX-License-Identifier: MIT
/**
 * The state of one union: its layers, its nodes, its open descriptors. The
 * modules of this room are functions over it, one file a subject.
 *
 * Who serves a union is one thread; nothing here is shared between threads.
 */
import { ENOENT, type Errno, ESTALE } from '../base/errno.js';
import { close } from '../sys/files.js';
import { Stat } from '../sys/stat.js';
import { FileDescriptors } from './file-descriptors.js';
import { InodeNumbers } from './inodes.js';
import type { Layer } from './layer.js';
import type { Marks } from './marks.js';
import { type DirectoryNode, NodeTable, type OverlayNode } from './node.js';
import { DirectoryDescriptors } from './real.js';
import type { WorkDirectory } from './work.js';

export interface UnionFeatures {
  /** Renaming a directory of a lower layer leaves a redirect; without it the answer is EXDEV. */
  redirectDirectories: boolean;
  /** Copy-up and fsync do not wait for the disk. */
  volatile: boolean;
}

/** Where a file can be named for a system call. */
export interface Place {
  fd: number;
  name: string;
}

export class Union {
  readonly nodes = new NodeTable();
  readonly numbers = new InodeNumbers();
  readonly directories: DirectoryDescriptors;
  readonly files: FileDescriptors;
  /** Directories whose listing is complete, the longest unused first. */
  readonly listings = new Set<DirectoryNode>();
  listedEntries = 0;
  /** Scratch records; valid until the next call into the union. */
  readonly stat = new Stat();
  readonly place: Place = { fd: -1, name: '' };
  readonly place2: Place = { fd: -1, name: '' };
  root!: DirectoryNode;

  constructor(
    readonly upper: Layer | null,
    readonly lowers: readonly Layer[],
    readonly work: WorkDirectory | null,
    readonly marks: Marks,
    readonly features: UnionFeatures,
    descriptorLimit: number,
  ) {
    this.directories = new DirectoryDescriptors(Math.max(64, Math.floor(descriptorLimit / 2)));
    this.files = new FileDescriptors(Math.max(32, Math.floor(descriptorLimit / 4)));
    if (upper !== null) this.numbers.register(upper.fileSystem);
    for (const lower of lowers) this.numbers.register(lower.fileSystem);
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
    if (node.isDirectory()) {
      place.fd = this.directories.of(node.upper ?? node.lowers[0]);
      place.name = '.';
    } else if (node.orphan !== null) {
      place.fd = this.work!.fd;
      place.name = node.orphan;
    } else if (node.inUpper) {
      place.fd = this.directories.of(node.parent!.upper!);
      place.name = node.name;
    } else {
      place.fd = this.directories.of(node.lower!.directory);
      place.name = node.lower!.name;
    }
    return place.fd < 0 ? gone(place.fd) : 0;
  }

  /** Closes every descriptor. The union cannot be used afterwards. */
  close(): void {
    this.files.closeAll();
    this.directories.closeAll();
    for (const node of this.nodes.values()) this.#unpin(node);
    this.work?.close();
    if (this.upper !== null) close(this.upper.fd);
    for (const lower of this.lowers) close(lower.fd);
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
