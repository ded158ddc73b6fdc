// SPDX-License-Identifier: MIT
/**
 * Open data descriptors of files, a bounded number. The kernel does not say when
 * a file is opened or closed (stateless serving), so a file is opened when its
 * data is first asked for, and closed when others have been used since.
 */
import { LRUCache } from 'lru-cache';
import { close } from '../../sys/files.js';
import type { LayerWatch } from '../layers/layer-watch.js';
import { sourceOf } from './file-content.js';
import type { FileNode } from './node.js';

interface OpenFile {
  fd: number;
  /** Number of the layer that holds it. */
  layer: number;
  writable: boolean;
  /** chattr(1) +a: writes land at the end, wherever they were meant to go. */
  appendOnly: boolean;
}

export class FileDescriptors {
  readonly #open: LRUCache<FileNode, OpenFile>;

  constructor(
    limit: number,
    private readonly watch: { current: LayerWatch },
  ) {
    this.#open = new LRUCache<FileNode, OpenFile>({ max: limit, dispose: ({ fd }) => close(fd) });
  }

  get size(): number {
    return this.#open.size;
  }

  /** The open descriptor; undefined where there is none that serves. */
  find(file: FileNode, forWriting: boolean): number | undefined {
    const known = this.#open.get(file);
    if (known === undefined || (forWriting && !known.writable)) return undefined;
    // Suspended: who opens it anew hears why it cannot be.
    return this.watch.current.ask(known.layer) < 0 ? undefined : known.fd;
  }

  keep(file: FileNode, fd: number, writable: boolean, appendOnly: boolean): void {
    this.#open.set(file, { fd, layer: layerOf(file), writable, appendOnly });
  }

  isAppendOnly(file: FileNode): boolean {
    return this.#open.get(file)?.appendOnly === true;
  }

  forget(file: FileNode): void {
    this.#open.delete(file);
  }

  closeAll(): void {
    this.#open.clear();
  }
}

function layerOf({ data, where }: FileNode): number {
  const place = sourceOf(data) ?? (where.kind === 'lower' ? where : null);
  return place === null ? 0 : place.directory.layer.index;
}
