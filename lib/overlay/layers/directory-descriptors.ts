// SPDX-License-Identifier: MIT
/** Open descriptors of real directories: a bounded number, so that trees of any size can be served. */
import { LRUCache } from 'lru-cache';
import type { ByteString } from '../../base/bytes.js';
import { EIO, type FdOrErrno } from '../../base/errno.js';
import { close, O_DIRECTORY, O_NOFOLLOW, O_PATH, openAt, openBeneath } from '../../sys/files.js';
import { PATH_MAX } from '../../sys/names.js';
import type { RealDirectory } from './layer.js';
import type { LayerWatch } from './layer-watch.js';

const DIRECTORY_FLAGS = O_PATH | O_DIRECTORY | O_NOFOLLOW;

/** Open descriptors (O_PATH) of real directories: a bounded number, the least used are closed. */
export class DirectoryDescriptors {
  readonly #open: LRUCache<RealDirectory, number>;

  constructor(
    limit: number,
    private readonly watch: { current: LayerWatch },
  ) {
    this.#open = new LRUCache<RealDirectory, number>({ max: limit, dispose: (fd) => close(fd) });
  }

  get size(): number {
    return this.#open.size;
  }

  /** A descriptor to name entries by, valid until the next call but a few; or a negated errno. */
  of(directory: RealDirectory): FdOrErrno {
    const { layer } = directory;
    if (this.watch.current.ask(layer.index) < 0) return -EIO;
    if (directory.parent === null) return layer.fd;
    const known = this.#open.get(directory);
    if (known !== undefined) return known;
    if (directory.pinned >= 0) return directory.pinned;
    return this.#reopen(directory);
  }

  /** Hands over a descriptor that the caller has just opened. */
  adopt(directory: RealDirectory, fd: number): void {
    this.#open.set(directory, fd);
  }

  forget(directory: RealDirectory): void {
    this.#open.delete(directory);
    if (directory.pinned >= 0) close(directory.pinned);
    directory.pinned = -1;
  }

  /** Keeps the directory reachable although its last name is about to go. */
  pin(directory: RealDirectory): FdOrErrno {
    const fd = this.of(directory);
    if (fd < 0 || directory.parent === null) return fd;
    directory.pinned = openAt(fd, '.', DIRECTORY_FLAGS);
    return directory.pinned;
  }

  closeAll(): void {
    this.#open.clear();
  }

  /**
   * Walks up to the nearest open ancestor and opens the rest beneath it. What
   * lies between is not kept, so that a tree of any depth cannot push the other
   * descriptors of the same request out of the cache.
   */
  #reopen(directory: RealDirectory): FdOrErrno {
    const missing: ByteString[] = [];
    let base = directory;
    while (base.parent !== null && base.pinned < 0 && !this.#open.has(base)) {
      missing.unshift(base.name);
      base = base.parent;
    }
    let from = this.of(base);
    let owned = false;
    while (missing.length > 0) {
      const step = takePath(missing);
      const next = openBeneath(from, step, DIRECTORY_FLAGS);
      if (owned) close(from);
      if (next < 0) return next;
      from = next;
      owned = true;
    }
    this.#open.set(directory, from);
    return from;
  }
}

/** Takes as many components off the front as fit one path. */
function takePath(names: ByteString[]): ByteString {
  let path = names.shift()!;
  while (names.length > 0 && path.length + 1 + names[0].length < PATH_MAX) path += `/${names.shift()}`;
  return path;
}
