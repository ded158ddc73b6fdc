// SPDX-License-Identifier: MIT
/**
 * Unpacks the entries of a layer into an empty directory, as a layer that
 * overlayfs and lib/overlay mount. Layers are hostile until checked: every name is
 * resolved beneath the directory without passing a symlink (openat2), and marks of
 * overlayfs in the archive are stored as plain data. Where a symlink of the layer
 * lies on the way it is read, and followed if it leads to a place beneath the directory.
 *
 * Whiteouts say something about the layers below only (image-spec layer.md,
 * "Whiteouts"), whatever their place in the archive, so they are kept until all
 * else is there. Times of directories come last, because filling one changes its.
 */
import type { ByteString } from '../../base/bytes.js';
import { toText } from '../../base/bytes.js';
import { EEXIST, ELOOP, ENOENT, ENOSPC, ENOTDIR, EPERM } from '../../base/errno.js';
import { quote } from '../../base/errors.js';
import type { Marks } from '../../overlay/formats/marks.js';
import {
  deviceNumber,
  makeDirectory,
  makeLink,
  makeNode,
  makeSymlink,
  removeDirectory,
  unlink,
} from '../../sys/entries.js';
import { close, O_CREAT, O_EXCL, O_WRONLY, openAt, truncate, writeFully } from '../../sys/files.js';
import { S_IFBLK, S_IFCHR, S_IFIFO, Stat, statAt } from '../../sys/stat.js';
import { setUmask } from '../../sys/thread.js';
import { visitTree } from '../../sys/tree-walk.js';
import { BLOCK, type TarEntry, type TarType } from '../tar/format.js';
import type { TarSink } from '../tar/reader.js';
import { setAttributes, setTimes } from './attributes.js';
import { refusal, unpackFailure } from './failure.js';
import { checkName, isWithin, ParentDirectories } from './layer-names.js';
import { placeWhiteouts, readWhiteout, type Whiteout } from './layer-whiteouts.js';

export interface UnpackLimits {
  /** Bytes of all files together, holes included. */
  size: number;
  /** Files, directories, also those that only a name implies, links and whiteouts. */
  entries: number;
}

export const DEFAULT_LIMITS: Readonly<UnpackLimits> = { size: 128 * 2 ** 30, entries: 4_000_000 };

/** An entry's headers, with the names and attributes that have no room in one, and the padding after it. */
const BYTES_BESIDE = 8 * BLOCK;

/** Bytes that an archive within the limits may have. */
export function archiveLimit({ size, entries }: UnpackLimits): number {
  return size + entries * BYTES_BESIDE;
}

/** What was unpacked. */
export interface Unpacked {
  /** Bytes of all files; a file with several names counts once. */
  size: number;
  entries: number;
}

const SPECIAL: Partial<Record<TarType, number>> = {
  'character device': S_IFCHR,
  'block device': S_IFBLK,
  fifo: S_IFIFO,
};

/** What was not made, and need not be. */
const LEFT_OUT = 1;

/**
 * `layer`: whiteouts and marks mean something, and nothing is there before.
 * `archive`: every name stands for itself, and nothing is there before.
 * `copy`: every name stands for itself; files that are there make way, but not for directories, nor these for files.
 */
export type UnpackWay = 'layer' | 'archive' | 'copy';

export class LayerUnpacker implements TarSink {
  readonly #parents: ParentDirectories;
  /** By path; '' is the root. */
  readonly #directoryTimes = new Map<ByteString, Pick<TarEntry, 'modifySeconds' | 'modifyNanoseconds'>>();
  #whiteouts: Whiteout[] = [];
  readonly #unpacked: Unpacked = { size: 0, entries: 0 };
  /** Bytes of files that later entries took away; they count for the limits. */
  #replaced = 0;
  readonly #stat = new Stat();
  #entry!: TarEntry;
  /** Where the entry lies, symlinks followed. */
  #path: readonly ByteString[] = [];
  /** The file that takes data; -1 between files. */
  #file = -1;
  #segment = 0;
  /** Bytes written of the file, or of the segment. */
  #written = 0;

  /** `root` is a descriptor of the empty directory; it stays the caller's. `layer` is for messages. */
  constructor(
    readonly root: number,
    private readonly layer: string,
    private readonly marks: Marks,
    private readonly limits: UnpackLimits = DEFAULT_LIMITS,
    private readonly way: UnpackWay = 'layer',
  ) {
    this.#parents = new ParentDirectories(root);
  }

  entry(entry: TarEntry): void {
    this.#entry = entry;
    this.#count(entry);
    // Modes are those of the archive, whatever the umask; it is put back at once, because it is the process's.
    const umask = setUmask(0);
    try {
      this.#make(entry);
    } finally {
      setUmask(umask);
    }
  }

  #count({ size, type }: TarEntry): void {
    const { entries, size: limit } = this.limits;
    // A single name can imply thousands of directories.
    if (++this.#unpacked.entries + this.#parents.made > entries) {
      this.#refuse(`the layer has more than ${entries} entries`, 'raise the limit with --max-layer-entries');
    }
    if (type === 'file') this.#unpacked.size += size;
    if (this.#unpacked.size > limit) {
      this.#refuse(`the layer is larger than ${limit} bytes`, 'raise the limit with --max-layer-size');
    }
  }

  #make(entry: TarEntry): void {
    const named = this.#named(entry.name);
    if (named.length === 0) {
      this.#requireType('directory');
      this.#parents.implied.delete('');
      this.#finishEntry(this.root, '.', []);
      return;
    }
    const name = named[named.length - 1];
    const whiteout = this.way === 'layer' ? readWhiteout(named.slice(0, -1), name) : undefined;
    if (typeof whiteout === 'string') this.#refuse(whiteout);
    if (whiteout === null) return;
    const { fd: parent, path: directory } = this.#enter(named.slice(0, -1));
    if (whiteout !== undefined) {
      this.#whiteouts.push({ ...whiteout, directory });
      return;
    }
    this.#path = [...directory, name];
    if (entry.type === 'directory') this.#parents.implied.delete(this.#path.join('/'));
    if (this.way === 'copy') this.#clear(entry, parent, name);
    let status = this.#create(entry, parent, name);
    if (status === -EEXIST) {
      this.#replace(parent, name);
      status = this.#create(entry, parent, name);
    }
    if (this.#check(status) === LEFT_OUT || entry.type === 'file' || entry.type === 'hard link') return;
    this.#finishEntry(parent, name, this.#path);
  }

  #named(name: ByteString): ByteString[] {
    const named = checkName(name);
    if (typeof named === 'string') this.#refuse(named);
    return named;
  }

  /** A directory on the way to an entry, and where it lies: a symlink of the layer may lead to it. */
  #enter(named: readonly ByteString[]): { fd: number; path: readonly ByteString[] } {
    const fd = this.#parents.open(named);
    if (fd !== -ELOOP && fd !== -ENOTDIR) return { fd: this.#check(fd, 'its directory'), path: named };
    const path = this.#follow(named, 'its directory');
    return { fd: this.#check(this.#parents.open(path), 'its directory'), path };
  }

  #follow(named: readonly ByteString[], of: string): ByteString[] {
    const path = this.#parents.follow(named);
    if (typeof path === 'number') throw unpackFailure(path, toText(this.#entry.name), this.layer, of);
    return path;
  }

  /** Takes a file of that name away; a directory is kept for a directory. */
  #clear({ type }: TarEntry, parent: number, name: ByteString): void {
    const status = statAt(parent, name, this.#stat);
    if (status === -ENOENT) return;
    this.#check(status);
    const isDirectory = type === 'directory';
    if (isDirectory && this.#stat.isDirectory) return;
    if (isDirectory) this.#refuse('a directory cannot take the place of a file');
    if (this.#stat.isDirectory) this.#refuse('a file cannot take the place of a directory');
    this.#check(unlink(parent, name));
  }

  /** Of entries of one name the last one counts; a directory that it replaces goes with all that it holds. */
  #replace(parent: number, name: ByteString): void {
    this.#check(statAt(parent, name, this.#stat));
    if (!this.#stat.isDirectory) {
      this.#check(this.#remove(parent, name));
      return;
    }
    const path = this.#path.join('/');
    this.#parents.forget(path);
    for (const known of this.#directoryTimes.keys()) {
      if (isWithin(known, path)) this.#directoryTimes.delete(known);
    }
    this.#whiteouts = this.#whiteouts.filter(({ directory }) => !isWithin(directory.join('/'), path));
    const visitor = {
      file: (dir: number, file: ByteString) => this.#remove(dir, file),
      directory: removeDirectory,
    };
    this.#check(visitTree(parent, name, visitor));
  }

  #remove(parent: number, name: ByteString): number {
    const status = statAt(parent, name, this.#stat);
    if (status < 0) return status;
    if (this.#stat.isRegular && this.#stat.linkCount === 1) this.#replaced += this.#stat.size;
    return unlink(parent, name);
  }

  /** Answers a negated errno, or LEFT_OUT for what this user cannot have. */
  #create(entry: TarEntry, parent: number, name: ByteString): number {
    switch (entry.type) {
      case 'directory': {
        const status = makeDirectory(parent, name, entry.mode & 0o777);
        // A directory may come again, for its attributes.
        return status === -EEXIST && this.#parents.isDirectory(parent, name) ? 0 : status;
      }
      case 'symlink':
        if (entry.target === '') this.#refuse('a symlink leads nowhere');
        return makeSymlink(parent, name, entry.target);
      case 'hard link':
        return this.#link(entry, parent, name);
      case 'file': {
        const file = openAt(parent, name, O_CREAT | O_EXCL | O_WRONLY, 0o600);
        if (file < 0) return file;
        this.#file = file;
        this.#segment = 0;
        this.#written = 0;
        return 0;
      }
      default:
        return this.#makeSpecial(entry, parent, name);
    }
  }

  /** In a user namespace nobody may make a device, and a device there would open nothing: it is left out. */
  #makeSpecial(entry: TarEntry, parent: number, name: ByteString): number {
    const { deviceMajor, deviceMinor } = entry;
    if (entry.type === 'character device' && deviceMajor === 0 && deviceMinor === 0) {
      this.#refuse('a device 0:0 is a whiteout, which an archive writes as .wh.NAME');
    }
    const mode = SPECIAL[entry.type]! | entry.mode;
    const status = makeNode(parent, name, mode, deviceNumber(deviceMajor, deviceMinor));
    return status === -EPERM && this.marks.inUser ? LEFT_OUT : status;
  }

  /** The target is a name in the same archive, as every other (pax(1), type 1). */
  #link(entry: TarEntry, parent: number, name: ByteString): number {
    const target = checkName(entry.target);
    if (typeof target === 'string') this.#refuse(`its link to ${quote(toText(entry.target))}: ${target}`);
    if (target.length === 0) this.#refuse('a hard link leads to a directory');
    const last = target[target.length - 1];
    let directory: readonly ByteString[] = target.slice(0, -1);
    // The cache of directories may close the one at hand, so it is opened for itself.
    let from = this.#parents.openOwned(directory);
    if (from === -ELOOP || from === -ENOTDIR) {
      directory = this.#follow(directory, 'what it links to');
      from = this.#parents.openOwned(directory);
    }
    this.#check(from, 'what it links to');
    const isItself = [...directory, last].join('/') === this.#path.join('/');
    const status = isItself ? statAt(from, last, this.#stat) : makeLink(from, last, parent, name);
    close(from);
    if (status === -ENOENT) {
      this.#refuse(`it links to ${quote(toText(entry.target))}, which is not in the layer`);
    }
    if (status === -EPERM) this.#refuse('a hard link leads to a directory');
    return status;
  }

  data(chunk: Buffer): void {
    // What a whiteout or a file of AUFS's bookkeeping holds means nothing.
    if (this.#file < 0) return;
    const { segments } = this.#entry;
    if (segments === null) {
      this.#write(chunk, chunk.length, this.#written);
      this.#written += chunk.length;
      return;
    }
    for (let at = 0; at < chunk.length; ) {
      const { offset, size } = segments[this.#segment];
      const part = Math.min(chunk.length - at, size - this.#written);
      this.#write(chunk.subarray(at, at + part), part, offset + this.#written);
      at += part;
      this.#written += part;
      if (this.#written < size) continue;
      this.#segment++;
      this.#written = 0;
    }
  }

  #write(bytes: Buffer, size: number, offset: number): void {
    const count = this.#check(writeFully(this.#file, bytes, size, offset));
    if (count < size) this.#check(-ENOSPC);
  }

  end(): void {
    if (this.#file < 0) return;
    const { segments, size } = this.#entry;
    if (segments !== null) this.#check(truncate(this.#file, size));
    close(this.#file);
    this.#file = -1;
    const parent = this.#check(this.#parents.open(this.#path.slice(0, -1)));
    this.#finishEntry(parent, this.#path[this.#path.length - 1], this.#path);
  }

  /** A directory's times come last of all. */
  #finishEntry(parent: number, name: ByteString, path: readonly ByteString[]): void {
    const { type, modifySeconds, modifyNanoseconds } = this.#entry;
    setAttributes(parent, name, this.#entry, this.layer);
    if (type === 'directory') {
      this.#directoryTimes.set(path.join('/'), { modifySeconds, modifyNanoseconds });
    } else this.#check(setTimes(parent, name, this.#entry));
  }

  /** To be called after the last entry. */
  finish(): Unpacked {
    const failed = placeWhiteouts(this.#whiteouts, this.#parents, this.marks);
    if (failed !== undefined) {
      this.#entry = { ...this.#entry, name: failed.path };
      this.#check(failed.status);
    }
    for (const [path, times] of this.#directoryTimes) {
      const directory = this.#check(this.#parents.open(path === '' ? [] : path.split('/')));
      this.#check(setTimes(directory, '.', times));
    }
    const { size, entries } = this.#unpacked;
    return { size: size - this.#replaced, entries };
  }

  /** Directories that no entry describes, '' for the root; complete after `finish`. */
  get implied(): readonly ByteString[] {
    return [...this.#parents.implied];
  }

  /** Closes what is open, also when unpacking has failed. */
  close(): void {
    if (this.#file >= 0) close(this.#file);
    this.#file = -1;
    this.#parents.close();
  }

  #requireType(type: TarType): void {
    if (this.#entry.type !== type) this.#refuse(`the root of a layer is a ${this.#entry.type}`);
  }

  #check(status: number, of?: string): number {
    if (status < 0) throw unpackFailure(status, toText(this.#entry.name), this.layer, of);
    return status;
  }

  #refuse(reason: string, remedy?: string): never {
    throw refusal(toText(this.#entry.name), this.layer, reason, remedy);
  }
}
