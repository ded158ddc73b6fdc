// SPDX-License-Identifier: MIT
/**
 * The index directory (`WORKDIR/index`), which lets a file keep its hard links over
 * copy-up: a lower file with several names is copied up once, to an entry that is
 * called by the file handle of the lower file, and each name in the upper is a link
 * to that (overlayfs.rst, "Index"; ovl_get_index_name in fs/overlayfs/namei.c).
 *
 * How many names the view has cannot be told from the copy alone, because names
 * that were never touched are still in the lower only. The copy's `nlink` mark
 * says it relative to a count that the next step does not change: `U+1` to the
 * links of the copy, `L-1` to those of the lower file (ovl_set_nlink_upper,
 * ovl_set_nlink_lower), so that a kill between mark and step leaves it true.
 */
import type { ByteString } from '../../base/bytes.js';
import { EEXIST, type Errno, ESTALE } from '../../base/errno.js';
import { check, OverlayError } from '../../base/errors.js';
import { listDirectory, makeDirectory, unlink } from '../../sys/entries.js';
import { close, O_DIRECTORY, O_PATH, openAt } from '../../sys/files.js';
import { openReadable } from '../../sys/handles.js';
import { Stat, statAt } from '../../sys/stat.js';
import { getXattr, setXattr } from '../../sys/xattrs.js';
import { setMark } from '../formats/as-owner.js';
import { isWhiteout, type Marks } from '../formats/marks.js';
import { encodeOrigin } from '../formats/origin.js';
import type { Layer } from './layer.js';

/** What the index knows of a file with several names. */
export interface Indexed {
  /** In the index directory. */
  readonly name: ByteString;
  /** Names that the lower file has. */
  readonly lowerLinks: number;
  /** Names that the view has. */
  links: number;
}

/** What the index has of a file, and whether that has been copied up. */
export interface IndexEntry {
  readonly isCopied: boolean;
  readonly indexed: Indexed;
}

export class IndexDirectory {
  readonly #stat = new Stat();
  /** How many names files have lost that were never copied up, as far as this server knows. */
  readonly #lost = new Map<ByteString, number>();

  private constructor(
    /** O_PATH descriptor. */
    readonly fd: number,
    private readonly marks: Marks,
  ) {}

  /**
   * Opens the index of an upper, or makes it. Throws an OverlayError where it belongs to
   * other layers. Precondition: the file systems of the layers have handles.
   */
  static open(
    workRoot: number,
    workPath: string,
    upper: Layer,
    lowers: readonly Layer[],
    marks: Marks,
  ): IndexDirectory {
    const story = { operation: 'open index directory', path: `${workPath}/index` };
    const made = makeDirectory(workRoot, 'index', 0o700);
    if (made !== -EEXIST) check(made, story);
    const fd = check(openAt(workRoot, 'index', O_PATH | O_DIRECTORY), story);
    try {
      const origin = encodeOrigin(lowers[0], lowers[0].fd, '');
      verify(upper.fd, marks.origin, origin, upper.path, 'its index was made over another lower layer');
      const upperMark = encodeOrigin(upper, upper.fd, '', true);
      verify(fd, marks.upper, upperMark, story.path, 'it belongs to another upper directory');
      const index = new IndexDirectory(fd, marks);
      check(index.removeForgotten(), story);
      return index;
    } catch (failure) {
      close(fd);
      throw failure;
    }
  }

  /** One that is open already: an earlier server's, or one that is only read. */
  static of(fd: number, marks: Marks): IndexDirectory {
    return new IndexDirectory(fd, marks);
  }

  /** Whether a file has names to be kept together, and can be marked so. */
  keeps(stat: Stat): boolean {
    return stat.linkCount > 1 && (stat.isRegular || !this.marks.inUser);
  }

  /**
   * What the index says of a lower file: `dir` and `name` are where it lies,
   * `lowerLinks` how many names it has there. Answers -ESTALE for a file that the
   * index has as removed.
   */
  find(layer: Layer, dir: number, file: ByteString, lowerLinks: number): IndexEntry | Errno {
    return this.#read(encodeOrigin(layer, dir, file).toString('hex'), lowerLinks);
  }

  /** The same for a file of the upper, by its origin mark; undefined where the copy is not the index's. */
  findCopy(mark: Buffer, upper: Stat, lowerLinks: number): Indexed | undefined {
    const found = this.#read(mark.toString('hex'), lowerLinks);
    if (typeof found === 'number' || !found.isCopied) return undefined;
    const same = this.#stat.inodeLow === upper.inodeLow && this.#stat.inodeHigh === upper.inodeHigh;
    return same ? found.indexed : undefined;
  }

  #read(name: ByteString, lowerLinks: number): IndexEntry | Errno {
    if (statAt(this.fd, name, this.#stat) < 0) {
      const links = lowerLinks - (this.#lost.get(name) ?? 0);
      return { isCopied: false, indexed: { name, lowerLinks, links } };
    }
    if (isWhiteout(this.#stat)) return -ESTALE;
    return { isCopied: true, indexed: { name, lowerLinks, links: this.#linksOf(name, lowerLinks) } };
  }

  #linksOf(name: ByteString, lowerLinks: number): number {
    const own = this.#stat.linkCount;
    const mark = getXattr(this.fd, name, this.marks.nlink);
    const parsed = typeof mark === 'number' ? null : /^([UL])([+-]\d+)$/.exec(mark.latin1Slice());
    if (parsed === null) return own - 1;
    return (parsed[1] === 'U' ? own : lowerLinks) + Number(parsed[2]);
  }

  /** Writes how many names the view has, relative to the links of the copy or of the lower file. */
  markLinks(indexed: Indexed, relativeTo: 'copy' | 'lower'): Errno {
    const { name, links } = indexed;
    if (relativeTo === 'lower') return this.markStaged(indexed, this.fd, name);
    const status = statAt(this.fd, name, this.#stat);
    return status < 0 ? status : this.#mark(this.fd, name, 'U', links - this.#stat.linkCount);
  }

  /** The same, relative to the lower file, for a copy that is about to come here: without it nobody could tell. */
  markStaged({ links, lowerLinks }: Indexed, dir: number, staged: ByteString): Errno {
    return this.#mark(dir, staged, 'L', links - lowerLinks);
  }

  #mark(dir: number, name: ByteString, relativeTo: 'U' | 'L', difference: number): Errno {
    const value = `${relativeTo}${difference < 0 ? '' : '+'}${difference}`;
    return setMark(dir, name, this.marks.nlink, Buffer.from(value));
  }

  /** Keeps in mind how many names a file has that has no copy to say so. */
  remember({ name, links, lowerLinks }: Indexed): void {
    if (links > 0) this.#lost.set(name, lowerLinks - links);
    else this.#lost.delete(name);
  }

  /** Names that the view has of a file, as the index says; 0 for one that is not in it. */
  linksLeft(name: ByteString, lowerLinks: number): number {
    return statAt(this.fd, name, this.#stat) < 0 ? 0 : this.#linksOf(name, lowerLinks);
  }

  /** Whether some file may have names that are in lower layers only. */
  reachesBelow(): boolean {
    const names = this.#list();
    if (typeof names === 'number') return true;
    return names.some((name) => {
      if (statAt(this.fd, name, this.#stat) < 0 || this.#stat.isDirectory || isWhiteout(this.#stat))
        return false;
      return this.#linksOf(name, Number.POSITIVE_INFINITY) > this.#stat.linkCount - 1;
    });
  }

  close(): void {
    close(this.fd);
  }

  #list(): ByteString[] | Errno {
    const readable = openReadable(this.fd);
    if (readable < 0) return readable;
    const names: ByteString[] = [];
    const listed = listDirectory(readable, (name) => names.push(name) > 0);
    close(readable);
    return listed < 0 ? listed : names;
  }

  /** A copy whose last name went just before a kill is taken away (ovl_indexdir_cleanup). */
  removeForgotten(): Errno {
    const names = this.#list();
    if (typeof names === 'number') return names;
    for (const name of names) {
      if (statAt(this.fd, name, this.#stat) < 0 || !this.#stat.isRegular || this.#stat.linkCount > 1)
        continue;
      if (this.#linksOf(name, Number.POSITIVE_INFINITY) > 0) continue;
      const status = unlink(this.fd, name);
      if (status < 0) return status;
    }
    return 0;
  }
}

/** Sets a mark that is not there yet, and refuses one that says something else (ovl_verify_set_fh). */
function verify(fd: number, mark: ByteString, expected: Buffer, path: string, reason: string): void {
  const present = getXattr(fd, '.', mark);
  if (typeof present === 'number') {
    check(setXattr(fd, '.', mark, expected), { operation: 'mark', path });
    return;
  }
  if (present.equals(expected)) return;
  throw new OverlayError({
    operation: 'use with index=on',
    path,
    errno: ESTALE,
    reason,
    remedy: 'give the layers it was made with, or leave index=on out',
  });
}
