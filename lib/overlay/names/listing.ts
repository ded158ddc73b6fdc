// SPDX-License-Identifier: MIT
/**
 * The merged listing of a directory: every visible name once.
 *
 * A listing is made once from getdents(2) of each layer's directory and kept
 * true by the changes that go through this union; lower layers do not change and
 * nobody else changes the upper. While it is `complete`, a name that is not in
 * it does not exist, and no layer is asked.
 *
 * A listing is read in steps by cookies (cookies.ts): an entry that stays is seen exactly
 * once, however many come and go meanwhile (POSIX readdir; getdents order is stable by cookie).
 */
import type { ByteString } from '../../base/bytes.js';
import type { Errno } from '../../base/errno.js';
import { DT_CHR, DT_UNKNOWN, listDirectory } from '../../sys/entries.js';
import { close } from '../../sys/files.js';
import { openReadable } from '../../sys/handles.js';
import { S_IFDIR, Stat, statAt } from '../../sys/stat.js';
import { asOwner } from '../formats/as-owner.js';
import { applyOverride } from '../formats/override-stat.js';
import { hiddenBy } from '../formats/whiteout-names.js';
import type { RealDirectory } from '../layers/layer.js';
import { FIRST_COOKIE, hashedCookie } from '../nodes/cookies.js';
import { dropListing } from '../nodes/entries.js';
import { type DirectoryNode, Entry } from '../nodes/node.js';
import { gone, type Union } from '../nodes/union.js';
import { isReservedIn } from './file-whiteouts.js';
import { isImpure } from './impure.js';
import { hides } from './whiteouts.js';

/** Entries kept in complete listings over the whole union; the least used give way. */
const LISTED_ENTRIES_LIMIT = 1_000_000;

/** Reads the listing if it is not there. Answers 0 or a negated errno. */
export function completeListing(union: Union, directory: DirectoryNode): Errno {
  if (directory.complete) {
    union.listings.delete(directory);
    union.listings.add(directory);
    return 0;
  }
  const merge = new Merge(union, directory);
  const last = directory.lowers.length;
  for (let place = directory.upper === null ? 1 : 0; place <= last; place++) {
    const status = merge.readPlace(place);
    if (status < 0) return status;
  }
  merge.install();
  trim(union, directory);
  return 0;
}

/** Only ever two places are common; they are shared, because a listing has many. */
const single: readonly (readonly number[])[] = Array.from({ length: 32 }, (_, place) => [place]);

class Merge {
  readonly #found = new Map<ByteString, Entry>();
  /** Names that nothing further down can show. */
  readonly #closed = new Set<ByteString>();
  readonly #whiteouts = new Set<ByteString>();
  /** Of names that lower layers have; counts what is hidden, too, because that may change. */
  readonly #positions = new Map<ByteString, number>();
  readonly #stat = new Stat();
  #position = FIRST_COOKIE;

  constructor(
    private readonly union: Union,
    private readonly directory: DirectoryNode,
  ) {}

  readPlace(place: number): Errno {
    const real = place === 0 ? this.directory.upper! : this.directory.lowers[place - 1];
    const fd = this.union.directories.of(real);
    if (fd < 0) return gone(fd);
    const open = (): number => openReadable(fd);
    const readable = place === 0 ? asOwner(fd, '.', open) : open();
    if (readable < 0) return gone(readable);
    const numbers = this.union.numbers;
    const ownNumbers = place > 0 || !isImpure(this.union, this.directory);
    const hidden = new Set<ByteString>();
    const status = listDirectory(readable, (name, kind, low, high) => {
      if (isReservedIn(this.union, real, name)) {
        if (real.layer.readsFiles && hiddenBy(name) !== '') hidden.add(hiddenBy(name));
        return true;
      }
      if (place > 0 && !this.#positions.has(name)) this.#positions.set(name, this.#position++);
      const type = this.#typeOf(real, readable, name, kind);
      if (type === 'hidden') this.#hide(place, name);
      else if (this.#add(place, name, type)) {
        const entry = this.#found.get(name)!;
        numbers.number(entry, real.layer.fileSystem, low, high);
        entry.inodeKnown = ownNumbers;
      }
      return true;
    });
    close(readable);
    real.hiddenNames = hidden;
    // A file that hides does so for the layers below its own, whatever the order of the entries.
    for (const name of hidden) this.#hideBelow(name);
    return status;
  }

  /** File type as S_IF*, or -1 for a whiteout. */
  #typeOf(real: RealDirectory, fd: number, name: ByteString, kind: number): number | 'hidden' {
    const isKnown = !real.xattrWhiteouts && real.layer.override === null;
    if (kind !== DT_CHR && kind !== DT_UNKNOWN && isKnown) return kind << 12;
    if (statAt(fd, name, this.#stat) < 0) return kind << 12;
    if (real.layer.override !== null) applyOverride(real.layer.override, fd, name, this.#stat);
    return hides(this.union, real, fd, name, this.#stat) ? 'hidden' : this.#stat.type;
  }

  #hide(place: number, name: ByteString): void {
    if (place === 0) this.#whiteouts.add(name);
    this.#hideBelow(name);
  }

  #hideBelow(name: ByteString): void {
    const entry = this.#found.get(name);
    if (entry !== undefined && entry.below === undefined) entry.below = false;
    this.#closed.add(name);
  }

  /** Whether the entry is new, so that this layer gives its inode number. */
  #add(place: number, name: ByteString, type: number): boolean {
    if (this.#whiteouts.has(name)) return false;
    const entry = this.#found.get(name);
    if (entry === undefined) {
      if (this.#closed.has(name)) return false;
      this.#create(place, name, type);
      return true;
    }
    if (entry.below === undefined && entry.places![0] === 0) entry.below = true;
    if (this.#closed.has(name)) return false;
    if (type !== S_IFDIR) this.#closed.add(name);
    else {
      entry.places = [...entry.places!, place];
      // With an upper on top the number may be this one's or the upper's own (opaque): a lookup tells.
      entry.inodeKnown = entry.places[0] !== 0;
    }
    return false;
  }

  #create(place: number, name: ByteString, type: number): void {
    const known = this.directory.entries.get(name);
    const entry = known ?? new Entry(this.directory, name, type);
    entry.places = place < single.length ? single[place] : [place];
    entry.below = place > 0 ? true : undefined;
    this.#found.set(name, entry);
    if (type !== S_IFDIR) this.#closed.add(name);
  }

  install(): void {
    const { directory } = this;
    const merges = directory.merges;
    const positions = this.#positions;
    directory.order = [];
    for (const entry of this.#found.values()) {
      if (!merges || entry.below === undefined) entry.below = false;
      const position = positions.get(entry.name);
      entry.cookie = position ?? hashedCookie(entry.name);
      if (position !== undefined) positions.delete(entry.name);
      directory.order.push(entry);
    }
    directory.ordered = directory.upper === null;
    // What is left is hidden.
    directory.vacant = positions;
    directory.entries = this.#found;
    directory.whiteouts = this.#whiteouts;
    directory.complete = true;
    this.union.listings.add(directory);
    this.union.listedEntries += directory.order.length;
  }
}

/** Lets go of listings that were not used for longest, until the rest is within the limit. */
function trim(union: Union, keep: DirectoryNode): void {
  for (const directory of union.listings) {
    if (union.listedEntries <= LISTED_ENTRIES_LIMIT) return;
    if (directory !== keep) dropListing(union, directory);
  }
}
