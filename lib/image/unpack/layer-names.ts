// SPDX-License-Identifier: MIT
/** Names in a layer's archive, and the directories that they lead through. */
import { LRUCache } from 'lru-cache';
import type { ByteString } from '../../base/bytes.js';
import { EINVAL, ELOOP, ENOENT, EXDEV } from '../../base/errno.js';
import { makeDirectory, readLink } from '../../sys/entries.js';
import { close, O_DIRECTORY, O_NOFOLLOW, O_PATH, openAt, openBeneath } from '../../sys/files.js';
import { NAME_MAX, PATH_MAX } from '../../sys/names.js';
import { Stat, statAt } from '../../sys/stat.js';

const DIRECTORY = O_PATH | O_DIRECTORY | O_NOFOLLOW;
const MOST_OPEN = 64;
/** As the kernel has it (MAXSYMLINKS). */
const MOST_LINKS = 40;
/** A directory that no entry describes (as Docker makes it). */
const IMPLIED_MODE = 0o755;

/**
 * The components of a name beneath the root, or what is wrong with it. A slash in front means
 * that root, as for every other tool; `./` and slashes at the end mean nothing.
 */
export function checkName(name: ByteString): ByteString[] | string {
  if (name.includes('\0')) return 'the name holds a NUL';
  if (name.length >= PATH_MAX) return 'the name is too long';
  const parts = name.split('/').filter((part) => part !== '' && part !== '.');
  if (parts.includes('..')) return 'the name leads out of the layer';
  return parts.some((part) => part.length > NAME_MAX) ? 'a part of the name is too long' : parts;
}

/** Whether a path is the directory, or lies below it. */
export function isWithin(path: ByteString, directory: ByteString): boolean {
  return path === directory || path.startsWith(`${directory}/`);
}

/** Open descriptors of the directories used last; entries of one directory mostly come together. */
export class ParentDirectories {
  readonly #open = new LRUCache<ByteString, number>({ max: MOST_OPEN, dispose: (fd) => close(fd) });
  readonly #stat = new Stat();
  /** Directories that were made because something lies in them, and the root, until an entry describes them. */
  readonly implied = new Set<ByteString>(['']);
  /** How many directories were made so, all in all. */
  made = 0;

  constructor(readonly root: number) {}

  /** A descriptor that stays the cache's; what is missing on the way is made. Or a negated errno. */
  open(path: readonly ByteString[]): number {
    if (path.length === 0) return this.root;
    const key = path.join('/');
    const known = this.#open.get(key);
    if (known !== undefined) return known;
    let fd = openBeneath(this.root, key, DIRECTORY);
    if (fd === -ENOENT) fd = this.#make(path);
    if (fd >= 0) this.#open.set(key, fd);
    return fd;
  }

  #make(path: readonly ByteString[]): number {
    const above = this.open(path.slice(0, -1));
    if (above < 0) return above;
    const name = path[path.length - 1];
    const status = makeDirectory(above, name, IMPLIED_MODE);
    if (status >= 0) this.implied.add(path.join('/'));
    this.made++;
    return status < 0 ? status : openAt(above, name, DIRECTORY);
  }

  /** The same for the caller to close; nothing is made. */
  openOwned(path: readonly ByteString[]): number {
    return path.length === 0
      ? openAt(this.root, '.', DIRECTORY)
      : openBeneath(this.root, path.join('/'), DIRECTORY);
  }

  /**
   * The way that a path takes where symlinks of the layer lie on it, as long as they lead to a place beneath the
   * root: -EXDEV for one that leads out, -ELOOP for a circle. What is missing counts as a directory to be made.
   */
  follow(path: readonly ByteString[]): ByteString[] | number {
    const way: ByteString[] = [];
    const left = [...path].reverse();
    for (let links = 0; left.length > 0; ) {
      const name = left.pop()!;
      if (name === '..' && way.pop() === undefined) return -EXDEV;
      if (name === '..' || name === '.' || name === '') continue;
      const target = this.#linkAt(way, name);
      if (typeof target === 'number') {
        if (target < 0) return target;
        way.push(name);
        continue;
      }
      if (target.startsWith('/')) return -EXDEV;
      if (++links > MOST_LINKS) return -ELOOP;
      left.push(...target.split('/').reverse());
    }
    return way;
  }

  /** A symlink's target, 0 for anything else and for nothing, or a negated errno. */
  #linkAt(directory: readonly ByteString[], name: ByteString): ByteString | number {
    const fd = this.openOwned(directory);
    if (fd < 0) return fd === -ENOENT ? 0 : fd;
    const target = readLink(fd, name);
    close(fd);
    return target === -EINVAL || target === -ENOENT ? 0 : target;
  }

  /** To be called when a directory goes, and all below it. */
  forget(path: ByteString): void {
    for (const known of [...this.#open.keys()]) if (isWithin(known, path)) this.#open.delete(known);
    for (const known of this.implied) if (isWithin(known, path)) this.implied.delete(known);
  }

  isDirectory(parent: number, name: ByteString): boolean {
    return statAt(parent, name, this.#stat) === 0 && this.#stat.isDirectory;
  }

  close(): void {
    this.#open.clear();
  }
}
