// SPDX-License-Identifier: MIT
/**
 * A file or a directory as it lies on the system, packed as a tar archive: every step
 * goes by a directory's descriptor and one name, so that a process that changes the tree
 * meanwhile leads it nowhere else.
 */
import { type ByteString, joinPath, toText } from '../../base/bytes.js';
import { EOPNOTSUPP } from '../../base/errno.js';
import { check, OverlayError } from '../../base/errors.js';
import { listDirectory, readLink } from '../../sys/entries.js';
import { Fd, O_DIRECTORY, O_NONBLOCK, O_RDONLY, openAt, readFully } from '../../sys/files.js';
import { S_IFBLK, S_IFCHR, S_IFLNK, S_IFSOCK, Stat, statAt } from '../../sys/stat.js';
import { getXattr, listXattrs } from '../../sys/xattrs.js';
import type { TarEntry } from '../tar/format.js';
import { headerOf, paddingAfter } from '../tar/writer.js';
import { TAR_TYPES, travels } from './node.js';
import { gathered } from './pack.js';

const CHUNK = 1 << 20;

/** Whose everything becomes, where it does not stay whose it is. */
export interface NewOwner {
  uid: number;
  gid: number;
}

/** A directory, whatever name leads to it. */
export type DirectoryIdentity = Pick<Stat, 'fileSystem' | 'inode'>;

class TreePacker {
  readonly #stat = new Stat();
  readonly #data = Buffer.allocUnsafe(CHUNK);
  /** The first name of each file that has several, by device and inode number. */
  readonly #linked = new Map<string, ByteString>();

  constructor(
    private readonly owner: NewOwner | undefined,
    private readonly into: DirectoryIdentity | undefined,
  ) {}

  *node(parent: number, name: ByteString, path: ByteString): Generator<Buffer> {
    const stat = this.#stat;
    check(statAt(parent, name, stat), { operation: 'stat', path: toText(path) });
    // A socket is a program's, not the tree's; no archive can have one.
    if (stat.type === S_IFSOCK) return;
    const { isDirectory } = stat;
    if (this.#isDestination()) throw intoItself(path);
    const first = this.#firstName(path);
    const entry: TarEntry = {
      name: isDirectory ? `${path}/` : path,
      type: first !== undefined ? 'hard link' : isDirectory ? 'directory' : TAR_TYPES.get(stat.type)!,
      mode: stat.mode & 0o7777,
      uid: this.owner?.uid ?? stat.uid,
      gid: this.owner?.gid ?? stat.gid,
      size: stat.isRegular && first === undefined ? stat.size : 0,
      modifySeconds: stat.modifySeconds,
      modifyNanoseconds: stat.modifyNanoseconds,
      target: first ?? (stat.type === S_IFLNK ? readTarget(parent, name, path) : ''),
      deviceMajor: stat.type === S_IFCHR || stat.type === S_IFBLK ? stat.deviceMajor : 0,
      deviceMinor: stat.type === S_IFCHR || stat.type === S_IFBLK ? stat.deviceMinor : 0,
      xattrs: first === undefined ? xattrsOf(parent, name, path) : new Map(),
      segments: null,
    };
    // What the directory itself is stays its own affair where only what it holds is copied.
    if (path !== '.') yield headerOf(entry);
    if (entry.size > 0) yield* this.#content(parent, name, path, entry.size);
    if (isDirectory) yield* this.#entries(parent, name, path);
  }

  #isDestination(): boolean {
    const { isDirectory, fileSystem, inode } = this.#stat;
    return isDirectory && inode === this.into?.inode && fileSystem === this.into.fileSystem;
  }

  #firstName(path: ByteString): ByteString | undefined {
    const { linkCount, isDirectory, fileSystem, inode } = this.#stat;
    if (isDirectory || linkCount < 2) return undefined;
    const key = `${fileSystem}:${inode}`;
    const first = this.#linked.get(key);
    if (first === undefined) this.#linked.set(key, path);
    return first;
  }

  *#entries(parent: number, name: ByteString, path: ByteString): Generator<Buffer> {
    const story = { operation: 'list', path: toText(path) };
    using fd = new Fd(check(openAt(parent, name, O_RDONLY | O_DIRECTORY), story));
    const names: ByteString[] = [];
    check(
      listDirectory(fd.number, (entry) => names.push(entry) > 0),
      story,
    );
    for (const entry of names.sort()) yield* this.node(fd.number, entry, joinPath(path, entry));
  }

  *#content(parent: number, name: ByteString, path: ByteString, size: number): Generator<Buffer> {
    const story = { operation: 'read', path: toText(path) };
    // Without waiting: what was a file may be a fifo by now.
    using fd = new Fd(check(openAt(parent, name, O_RDONLY | O_NONBLOCK), story));
    for (let at = 0; at < size; ) {
      const count = check(readFully(fd.number, this.#data, Math.min(CHUNK, size - at), at), story);
      if (count === 0) {
        throw new OverlayError({
          ...story,
          reason: 'it became shorter while it was read',
          remedy: 'try again when nothing writes to it',
        });
      }
      // The buffer is used again; the archive's reader may be slow.
      yield Buffer.from(this.#data.subarray(0, count));
      at += count;
    }
    yield paddingAfter(size);
  }
}

/** By way of a bind mount, say; it would never end. */
function intoItself(path: ByteString): OverlayError {
  return new OverlayError({
    operation: 'copy',
    path: toText(path),
    reason: 'it is the directory that is copied to, by another name',
    remedy: 'copy to one that lies outside',
  });
}

function readTarget(parent: number, name: ByteString, path: ByteString): ByteString {
  const target = readLink(parent, name);
  if (typeof target === 'string') return target;
  throw new OverlayError({ operation: 'read the link', path: toText(path), errno: target });
}

function xattrsOf(parent: number, name: ByteString, path: ByteString): Map<ByteString, Buffer> {
  const story = { operation: 'read the attributes of', path: toText(path) };
  const names = listXattrs(parent, name);
  if (names === -EOPNOTSUPP) return new Map();
  if (typeof names === 'number') throw new OverlayError({ ...story, errno: names });
  const xattrs = new Map<ByteString, Buffer>();
  for (const attribute of names.filter(travels).sort()) {
    const value = getXattr(parent, name, attribute);
    if (typeof value === 'number') throw new OverlayError({ ...story, errno: value });
    xattrs.set(attribute, value);
  }
  return xattrs;
}

/**
 * What has a name in a directory, with all below it; `as` is its name in the archive, `.` for what it holds alone.
 * Throws an OverlayError when it comes to the directory that the archive is unpacked `into`.
 */
export function packTree(
  parent: number,
  name: ByteString,
  as: ByteString,
  owner: NewOwner | undefined,
  into?: DirectoryIdentity,
): Generator<Buffer> {
  return gathered(new TreePacker(owner, into).node(parent, name, as));
}
