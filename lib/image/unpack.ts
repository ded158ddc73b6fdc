// SPDX-License-Identifier: MIT
/**
 * Unpacks the entries of a layer into an empty directory, as a layer that
 * overlayfs and lib/overlay mount. Layers are hostile until checked: every name is
 * resolved beneath the directory without passing a symlink (openat2), nothing is
 * overwritten, and marks of overlayfs in the archive are stored as plain data.
 *
 * Whiteouts say something about the layers below only (image-spec layer.md,
 * "Whiteouts"), whatever their place in the archive, so they are kept until all
 * else is there. Times of directories come last, because filling one changes its.
 */
import type { ByteString } from '../base/bytes.js';
import { toText } from '../base/bytes.js';
import { EEXIST, EINVAL, ENOENT, ENOSPC, EOPNOTSUPP, EPERM, errnoName } from '../base/errno.js';
import { quote } from '../base/errors.js';
import type { Marks } from '../overlay/marks.js';
import {
  changeMode,
  changeOwner,
  changeTimes,
  deviceNumber,
  makeDirectory,
  makeLink,
  makeNode,
  makeSymlink,
  unlink,
} from '../sys/entries.js';
import { close, O_CREAT, O_EXCL, O_WRONLY, openAt, truncate, writeFully } from '../sys/files.js';
import { S_IFBLK, S_IFCHR, S_IFIFO, Stat, statAt } from '../sys/stat.js';
import { setUmask } from '../sys/thread.js';
import { setXattr } from '../sys/xattrs.js';
import { checkName, ParentDirectories } from './layer-names.js';
import { placeWhiteouts, readWhiteout, type Whiteout } from './layer-whiteouts.js';
import type { TarEntry, TarType } from './tar-format.js';
import type { TarSink } from './tar-reader.js';
import { refusal, unpackFailure } from './unpack-failure.js';

export interface UnpackLimits {
  /** Bytes of all files together, holes included. */
  size: number;
  /** Files, directories, links and whiteouts. */
  entries: number;
}

export const DEFAULT_LIMITS: Readonly<UnpackLimits> = { size: 128 * 2 ** 30, entries: 4_000_000 };

/** What was unpacked. */
export interface Unpacked {
  /** Bytes of all files; a file with several names counts once. */
  size: number;
  entries: number;
}

interface DirectoryTime {
  name: ByteString;
  seconds: number;
  nanoseconds: number;
}

const SPECIAL: Partial<Record<TarType, number>> = {
  'character device': S_IFCHR,
  'block device': S_IFBLK,
  fifo: S_IFIFO,
};

/** Attributes that a file system may lack without the file losing anything that it needs here. */
const DISPENSABLE = /^security\.(selinux|ima|evm|apparmor|smack)/i;

/**
 * `layer`: whiteouts and marks mean something, and nothing is there before.
 * `copy`: every name stands for itself, and files that are there make way.
 */
export type UnpackWay = 'layer' | 'copy';

export class LayerUnpacker implements TarSink {
  readonly #parents: ParentDirectories;
  readonly #directoryTimes: DirectoryTime[] = [];
  readonly #whiteouts: Whiteout[] = [];
  readonly #unpacked: Unpacked = { size: 0, entries: 0 };
  readonly #stat = new Stat();
  #entry!: TarEntry;
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
    if (++this.#unpacked.entries > entries) {
      this.#refuse(`the layer has more than ${entries} entries`, 'raise the limit with --max-layer-entries');
    }
    if (type === 'file') this.#unpacked.size += size;
    if (this.#unpacked.size > limit) {
      this.#refuse(`the layer is larger than ${limit} bytes`, 'raise the limit with --max-layer-size');
    }
  }

  #make(entry: TarEntry): void {
    const named = checkName(entry.name);
    if (typeof named === 'string') this.#refuse(named);
    if (named.length === 0) {
      this.#requireType('directory');
      this.#parents.implied.delete('');
      this.#setAttributes(this.root, '.');
      return;
    }
    const name = named[named.length - 1];
    const parents = named.slice(0, -1);
    const whiteout = this.way === 'copy' ? undefined : readWhiteout(parents, name);
    if (typeof whiteout === 'string') this.#refuse(whiteout);
    if (whiteout === null) return;
    const parent = this.#check(this.#parents.open(parents), 'its directory');
    if (entry.type === 'directory') this.#parents.implied.delete(named.join('/'));
    if (whiteout !== undefined) {
      this.#whiteouts.push(whiteout);
      return;
    }
    if (this.way === 'copy') this.#clear(entry, parent, name);
    const isMade = this.#create(entry, parent, name);
    if (!isMade || entry.type === 'file' || entry.type === 'hard link') return;
    this.#setAttributes(parent, name);
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

  /** Answers false for what this user cannot have. */
  #create(entry: TarEntry, parent: number, name: ByteString): boolean {
    switch (entry.type) {
      case 'directory': {
        const status = makeDirectory(parent, name, entry.mode & 0o777);
        // A directory may come again, for its attributes; over anything else it is a duplicate.
        if (status !== -EEXIST || !this.#parents.isDirectory(parent, name)) this.#check(status);
        return true;
      }
      case 'symlink':
        if (entry.target === '') this.#refuse('a symlink leads nowhere');
        this.#check(makeSymlink(parent, name, entry.target));
        return true;
      case 'hard link':
        this.#link(entry, parent, name);
        return true;
      case 'file':
        this.#file = this.#check(openAt(parent, name, O_CREAT | O_EXCL | O_WRONLY, 0o600));
        this.#segment = 0;
        this.#written = 0;
        return true;
      default:
        return this.#makeSpecial(entry, parent, name);
    }
  }

  /** In a user namespace nobody may make a device, and a device there would open nothing: it is left out. */
  #makeSpecial(entry: TarEntry, parent: number, name: ByteString): boolean {
    const { deviceMajor, deviceMinor } = entry;
    if (entry.type === 'character device' && deviceMajor === 0 && deviceMinor === 0) {
      this.#refuse('a device 0:0 is a whiteout, which an archive writes as .wh.NAME');
    }
    const mode = SPECIAL[entry.type]! | entry.mode;
    const status = makeNode(parent, name, mode, deviceNumber(deviceMajor, deviceMinor));
    if (status === -EPERM && this.marks.prefix.startsWith('user.')) return false;
    this.#check(status);
    return true;
  }

  /** The target is a name in the same archive, as every other (pax(1), type 1). */
  #link(entry: TarEntry, parent: number, name: ByteString): void {
    const target = checkName(entry.target);
    if (typeof target === 'string') this.#refuse(`its link to ${quote(toText(entry.target))}: ${target}`);
    if (target.length === 0) this.#refuse('a hard link leads to a directory');
    // The cache of directories may close the one at hand, so it is opened for itself.
    const from = this.#check(this.#parents.openOwned(target.slice(0, -1)), 'what it links to');
    const status = makeLink(from, target[target.length - 1], parent, name);
    close(from);
    if (status === -ENOENT) {
      this.#refuse(`it links to ${quote(toText(entry.target))}, which is not in the layer`);
    }
    if (status === -EPERM) this.#refuse('a hard link leads to a directory');
    this.#check(status);
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
    const named = checkName(this.#entry.name) as ByteString[];
    const parent = this.#check(this.#parents.open(named.slice(0, -1)));
    this.#setAttributes(parent, named[named.length - 1]);
  }

  /** Owner before mode: a change of owner takes setuid and setgid away. */
  #setAttributes(parent: number, name: ByteString): void {
    const { type, uid, gid, mode, xattrs, modifySeconds, modifyNanoseconds } = this.#entry;
    const owned = changeOwner(parent, name, uid, gid);
    // EINVAL: the id is none of this user namespace.
    if (owned === -EPERM || owned === -EINVAL) {
      this.#refuse(
        `it belongs to ${uid}:${gid}, which this user may not give`,
        'run as root, or in a user namespace with a range of ids (unshare --map-auto --map-root-user -m)',
      );
    }
    this.#check(owned);
    if (type !== 'symlink') this.#check(changeMode(parent, name, mode));
    for (const [attribute, value] of xattrs) this.#setXattr(parent, name, attribute, value);
    if (type === 'directory') {
      this.#directoryTimes.push({
        name: this.#entry.name,
        seconds: modifySeconds,
        nanoseconds: modifyNanoseconds,
      });
    } else this.#setTimes(parent, name, modifySeconds, modifyNanoseconds);
  }

  #setTimes(parent: number, name: ByteString, seconds: number, nanoseconds: number): void {
    const times = {
      accessSeconds: seconds,
      accessNanoseconds: nanoseconds,
      modifySeconds: seconds,
      modifyNanoseconds: nanoseconds,
    };
    this.#check(changeTimes(parent, name, times));
  }

  #setXattr(parent: number, name: ByteString, attribute: ByteString, value: Buffer): void {
    // Marks of an overlay mean something to the mount, so both spellings are put one step further in.
    const stored = attribute.replace(/^(trusted|user)\.overlay\./, '$1.overlay.overlay.');
    const status = setXattr(parent, name, stored, value);
    if (status >= 0) return;
    const isAllowed = status === -EOPNOTSUPP || status === -EPERM;
    if (isAllowed && DISPENSABLE.test(attribute)) return;
    this.#refuse(
      `its attribute ${toText(attribute)} cannot be set: ${errnoName(status)}`,
      'put the store on a file system that takes extended attributes',
    );
  }

  /** To be called after the last entry. */
  finish(): Unpacked {
    const failed = placeWhiteouts(this.#whiteouts, this.#parents, this.marks);
    if (failed !== undefined) {
      this.#entry = { ...this.#entry, name: failed.path };
      this.#check(failed.status);
    }
    for (const { name, seconds, nanoseconds } of this.#directoryTimes.reverse()) {
      const named = checkName(name) as ByteString[];
      const directory = this.#check(this.#parents.open(named));
      this.#setTimes(directory, '.', seconds, nanoseconds);
    }
    return this.#unpacked;
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
