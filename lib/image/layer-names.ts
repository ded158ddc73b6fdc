// SPDX-License-Identifier: MIT
/** Names in a layer's archive, and the directories that they lead through. */
import { LRUCache } from 'lru-cache';
import type { ByteString } from '../base/bytes.js';
import { ENOENT } from '../base/errno.js';
import { makeDirectory } from '../sys/entries.js';
import { close, O_DIRECTORY, O_NOFOLLOW, O_PATH, openAt, openBeneath } from '../sys/files.js';
import { NAME_MAX, PATH_MAX } from '../sys/names.js';
import { Stat, statAt } from '../sys/stat.js';

const DIRECTORY = O_PATH | O_DIRECTORY | O_NOFOLLOW;
const MOST_OPEN = 64;
/** A directory that no entry describes (as Docker makes it). */
const IMPLIED_MODE = 0o755;

/** The components of a name, or what is wrong with it. `./` and a slash at the end are usual and mean nothing. */
export function checkName(name: ByteString): ByteString[] | string {
  if (name.startsWith('/')) return 'the name is absolute';
  if (name.includes('\0')) return 'the name holds a NUL';
  if (name.length >= PATH_MAX) return 'the name is too long';
  const parts = name.split('/').filter((part) => part !== '' && part !== '.');
  if (parts.includes('..')) return 'the name leads out of the layer';
  return parts.some((part) => part.length > NAME_MAX) ? 'a part of the name is too long' : parts;
}

/** Open descriptors of the directories used last; entries of one directory mostly come together. */
export class ParentDirectories {
  readonly #open = new LRUCache<ByteString, number>({ max: MOST_OPEN, dispose: (fd) => close(fd) });
  readonly #stat = new Stat();
  /** Directories that were made because something lies in them, and the root, until an entry describes them. */
  readonly implied = new Set<ByteString>(['']);

  constructor(private readonly root: number) {}

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
    return status < 0 ? status : openAt(above, name, DIRECTORY);
  }

  /** The same for the caller to close; nothing is made. */
  openOwned(path: readonly ByteString[]): number {
    return path.length === 0
      ? openAt(this.root, '.', DIRECTORY)
      : openBeneath(this.root, path.join('/'), DIRECTORY);
  }

  isDirectory(parent: number, name: ByteString): boolean {
    return statAt(parent, name, this.#stat) === 0 && this.#stat.isDirectory;
  }

  close(): void {
    this.#open.clear();
  }
}
