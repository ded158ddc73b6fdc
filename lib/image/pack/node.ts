// SPDX-License-Identifier: MIT
/** One node of a union as an entry of a tar archive: its attributes, its data, or the name it had already. */
import { type ByteString, toText } from '../../base/bytes.js';
import { EOPNOTSUPP } from '../../base/errno.js';
import { OverlayError } from '../../base/errors.js';
import { getAttributes } from '../../overlay/data/attributes.js';
import { readData } from '../../overlay/data/data.js';
import { getAttribute, listAttributes } from '../../overlay/data/xattr.js';
import { readTarget } from '../../overlay/names/walk.js';
import type { OverlayNode } from '../../overlay/nodes/node.js';
import type { Union } from '../../overlay/nodes/union.js';
import { S_IFBLK, S_IFCHR, S_IFIFO, S_IFLNK, S_IFREG, S_IFSOCK, Stat } from '../../sys/stat.js';
import type { TarEntry, TarType } from '../tar/format.js';
import { headerOf, paddingAfter } from '../tar/writer.js';

const CHUNK = 1 << 20;

/** Of what is neither a directory nor a socket, by S_IF*. */
export const TAR_TYPES: ReadonlyMap<number, TarType> = new Map<number, TarType>([
  [S_IFREG, 'file'],
  [S_IFLNK, 'symlink'],
  [S_IFCHR, 'character device'],
  [S_IFBLK, 'block device'],
  [S_IFIFO, 'fifo'],
]);

/** Attributes that mean something on another machine. */
export function travels(name: ByteString): boolean {
  return (
    name === 'security.capability' ||
    name.startsWith('user.') ||
    name.startsWith('system.posix_acl_') ||
    (name.startsWith('trusted.') && !name.startsWith('trusted.overlay.'))
  );
}

/** What an entry becomes; its name, type and size must stay. */
export type Rewrite = (entry: TarEntry) => TarEntry;

export class NodePacker {
  readonly #stat = new Stat();
  readonly #data = Buffer.allocUnsafe(CHUNK);
  /** The first name of each file that has several, by inode number. */
  readonly #linked = new Map<string, ByteString>();

  constructor(private readonly union: Union) {}

  /** A node under a name; a directory without what it holds. Nothing for a socket, which no archive can have. */
  *pack(node: OverlayNode, path: ByteString, rewrite?: Rewrite): Generator<Buffer> {
    const stat = this.#stat;
    const status = getAttributes(this.union, node, stat);
    if (status < 0) throw this.#failed('stat', path, status);
    if (stat.type === S_IFSOCK) return;
    const first = this.#firstName(node, path);
    const entry: TarEntry = {
      name: node.isDirectory() ? `${path}/` : path,
      type: first !== undefined ? 'hard link' : node.isDirectory() ? 'directory' : TAR_TYPES.get(stat.type)!,
      mode: stat.mode & 0o7777,
      uid: stat.uid,
      gid: stat.gid,
      size: stat.isRegular && first === undefined ? stat.size : 0,
      modifySeconds: stat.modifySeconds,
      modifyNanoseconds: stat.modifyNanoseconds,
      target: first ?? (stat.type === S_IFLNK ? this.#target(node, path) : ''),
      deviceMajor: stat.type === S_IFCHR || stat.type === S_IFBLK ? stat.deviceMajor : 0,
      deviceMinor: stat.type === S_IFCHR || stat.type === S_IFBLK ? stat.deviceMinor : 0,
      xattrs: first === undefined ? this.#xattrs(node, path) : new Map(),
      segments: null,
    };
    yield headerOf(rewrite === undefined ? entry : rewrite(entry));
    if (entry.size > 0) yield* this.#content(node, path, entry.size);
  }

  /** The name under which a file with several was written already. */
  #firstName(node: OverlayNode, path: ByteString): ByteString | undefined {
    if (node.isDirectory() || this.#stat.linkCount < 2) return undefined;
    const key = `${node.inodeHigh}:${node.inodeLow}`;
    const first = this.#linked.get(key);
    if (first === undefined) this.#linked.set(key, path);
    return first;
  }

  #target(node: OverlayNode, path: ByteString): ByteString {
    const target = readTarget(this.union, node);
    if (typeof target === 'number') throw this.#failed('read the link', path, target);
    return target;
  }

  #xattrs(node: OverlayNode, path: ByteString): Map<ByteString, Buffer> {
    const names = listAttributes(this.union, node);
    if (names === -EOPNOTSUPP) return new Map();
    if (typeof names === 'number') throw this.#failed('read the attributes of', path, names);
    const xattrs = new Map<ByteString, Buffer>();
    for (const name of names.filter(travels).sort()) {
      const value = getAttribute(this.union, node, name);
      if (typeof value === 'number') throw this.#failed('read an attribute of', path, value);
      xattrs.set(name, value);
    }
    return xattrs;
  }

  *#content(node: OverlayNode, path: ByteString, size: number): Generator<Buffer> {
    for (let at = 0; at < size; ) {
      const count = readData(this.union, node, this.#data, Math.min(CHUNK, size - at), at);
      if (count < 0) throw this.#failed('read', path, count);
      if (count === 0) {
        throw new OverlayError({
          operation: 'read',
          path: toText(path),
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

  #failed(operation: string, path: ByteString, status: number): OverlayError {
    return new OverlayError({ operation, path: toText(path), errno: status });
  }
}
