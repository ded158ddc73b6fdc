// SPDX-License-Identifier: MIT
/**
 * Open data descriptors of files, a bounded number. The kernel does not say when
 * a file is opened or closed (stateless serving), so a file is opened when its
 * data is first asked for, and closed when others have been used since.
 */
import { LRUCache } from 'lru-cache';
import { close } from '../sys/files.js';
import type { FileNode } from './node.js';

interface OpenFile {
  fd: number;
  writable: boolean;
  /** chattr(1) +a: writes land at the end, wherever they were meant to go. */
  appendOnly: boolean;
}

export class FileDescriptors {
  readonly #open: LRUCache<FileNode, OpenFile>;

  constructor(limit: number) {
    this.#open = new LRUCache<FileNode, OpenFile>({ max: limit, dispose: ({ fd }) => close(fd) });
  }

  get size(): number {
    return this.#open.size;
  }

  /** The open descriptor, or -1 where there is none that serves. */
  find(file: FileNode, forWriting: boolean): number {
    const known = this.#open.get(file);
    return known === undefined || (forWriting && !known.writable) ? -1 : known.fd;
  }

  keep(file: FileNode, fd: number, writable: boolean, appendOnly: boolean): void {
    this.#open.set(file, { fd, writable, appendOnly });
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
