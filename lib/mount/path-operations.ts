// SPDX-License-Identifier: MIT
/**
 * The overlay behind libfuse 2's path operations, in the shape that fuse-native
 * calls them. What libfuse 2 or its binding cannot say is listed in
 * native-notes/fuse-native.md; everything else goes to the same engine.
 */
import { fromText, toText } from '../base/bytes.js';
import { EIO, ENODATA, ENOTDIR, type Errno } from '../base/errno.js';
import { createNode } from '../overlay/changes/create.js';
import { linkNode } from '../overlay/changes/link.js';
import { removeDirectoryName, unlinkName } from '../overlay/changes/remove.js';
import { renameName } from '../overlay/changes/rename.js';
import { ownCreator } from '../overlay/copy-up/credentials.js';
import { AttributeChange, getAttributes, setAttributes } from '../overlay/data/attributes.js';
import * as data from '../overlay/data/data.js';
import * as xattr from '../overlay/data/xattr.js';
import { completeListing } from '../overlay/names/listing.js';
import { type Named, readTarget, walk, walkToParent } from '../overlay/names/walk.js';
import { visitEntries } from '../overlay/nodes/entries.js';
import type { OverlayNode } from '../overlay/nodes/node.js';
import { release, settle } from '../overlay/nodes/references.js';
import type { Union } from '../overlay/nodes/union.js';
import { S_IFDIR, S_IFLNK, S_IFREG, Stat } from '../sys/stat.js';

type Done = (status: number, ...results: unknown[]) => void;

/** An operation that threw is answered EIO and reported; the mount goes on. */
export type Fault = (operation: string, fault: unknown) => void;

export function pathOperations(union: Union, counts: Record<string, number>, fault: Fault): object {
  const operations = new PathOperations(union);
  const table: Record<string, (...parameters: never[]) => unknown> = {};
  for (const name of OPERATIONS) {
    table[name] = (...parameters: never[]) => {
      counts[name] = (counts[name] ?? 0) + 1;
      const done = (parameters as unknown[]).at(-1) as Done;
      try {
        (operations[name] as (...all: never[]) => void).apply(operations, parameters);
      } catch (failure) {
        fault(name, failure);
        done(-EIO);
      }
    };
  }
  return table;
}

const OPERATIONS = [
  'statfs',
  'getattr',
  'readdir',
  'truncate',
  'utimens',
  'readlink',
  'chown',
  'chmod',
  'mknod',
  'setxattr',
  'getxattr',
  'listxattr',
  'removexattr',
  'open',
  'read',
  'write',
  'release',
  'create',
  'unlink',
  'rename',
  'link',
  'symlink',
  'mkdir',
  'rmdir',
  'fsync',
  'fgetattr',
  'ftruncate',
] as const;

class PathOperations {
  readonly #stat = new Stat();

  constructor(private readonly union: Union) {}

  #at(path: string, done: Done, use: (node: OverlayNode) => void): void {
    const node = walk(this.union, fromText(path), false);
    if (typeof node === 'number') {
      done(node);
      return;
    }
    try {
      use(node);
    } finally {
      release(this.union, node);
    }
  }

  #in(path: string, done: Done, use: (named: Named) => Errno): void {
    const named = walkToParent(this.union, fromText(path));
    if (typeof named === 'number') {
      done(named);
      return;
    }
    let status: Errno;
    try {
      status = use(named);
    } finally {
      release(this.union, named.parent);
    }
    done(status);
  }

  /** Handles are node ids; each open holds a reference. */
  #open(handle: number): OverlayNode {
    const node = this.union.nodes.get(handle);
    if (node === undefined) throw new Error(`handle ${handle} is not open`);
    return node;
  }

  statfs(_path: string, done: Done): void {
    const size = data.fileSystemSize(this.union);
    if (typeof size === 'number') {
      done(size);
      return;
    }
    done(0, {
      bsize: size.blockSize,
      frsize: size.fragmentSize,
      blocks: size.blocks,
      bfree: size.freeBlocks,
      bavail: size.availableBlocks,
      files: size.files,
      ffree: size.freeFiles,
      favail: size.freeFiles,
      namemax: size.nameLength,
    });
  }

  getattr(path: string, done: Done): void {
    this.#at(path, done, (node) => this.#answerAttributes(node, done));
  }

  fgetattr(_path: string, handle: number, done: Done): void {
    this.#answerAttributes(this.#open(handle), done);
  }

  #answerAttributes(node: OverlayNode, done: Done): void {
    const stat = this.#stat;
    const status = getAttributes(this.union, node, stat);
    if (status < 0) {
      done(status);
      return;
    }
    done(0, {
      mode: stat.mode,
      uid: stat.uid,
      gid: stat.gid,
      size: stat.size,
      nlink: stat.linkCount,
      ino: stat.inodeLow,
      rdev:
        ((stat.deviceMajor & 0xfff) << 8) | (stat.deviceMinor & 0xff) | ((stat.deviceMinor & ~0xff) << 12),
      blksize: stat.blockSize,
      blocks: stat.blocks,
      atime: new Date(stat.accessSeconds * 1000 + stat.accessNanoseconds / 1e6),
      mtime: new Date(stat.modifySeconds * 1000 + stat.modifyNanoseconds / 1e6),
      ctime: new Date(stat.changeSeconds * 1000 + stat.changeNanoseconds / 1e6),
    });
  }

  readdir(path: string, done: Done): void {
    this.#at(path, done, (node) => {
      const status = node.isDirectory() ? completeListing(this.union, node) : -ENOTDIR;
      if (status < 0 || !node.isDirectory()) {
        done(status);
        return;
      }
      const names = ['.', '..'];
      visitEntries(this.union, node, 0, ({ name }) => names.push(toText(name)) > 0);
      done(0, names);
    });
  }

  #change(path: string, done: Done, describe: (change: AttributeChange) => void): void {
    this.#at(path, done, (node) => done(this.#apply(node, describe)));
  }

  #apply(node: OverlayNode, describe: (change: AttributeChange) => void): Errno {
    const change = new AttributeChange();
    describe(change);
    return setAttributes(this.union, node, change);
  }

  truncate(path: string, size: number, done: Done): void {
    this.#change(path, done, (change) => void (change.size = size));
  }

  ftruncate(_path: string, handle: number, size: number, done: Done): void {
    done(this.#apply(this.#open(handle), (change) => void (change.size = size)));
  }

  /** Times in milliseconds. */
  utimens(path: string, access: number, modify: number, done: Done): void {
    this.#change(path, done, (change) => {
      [change.accessSeconds, change.accessNanoseconds] = [Math.floor(access / 1000), (access % 1000) * 1e6];
      [change.modifySeconds, change.modifyNanoseconds] = [Math.floor(modify / 1000), (modify % 1000) * 1e6];
    });
  }

  chown(path: string, uid: number, gid: number, done: Done): void {
    this.#change(path, done, (change) => void Object.assign(change, { uid: uid >>> 0, gid: gid >>> 0 }));
  }

  chmod(path: string, mode: number, done: Done): void {
    this.#change(path, done, (change) => void (change.mode = mode));
  }

  readlink(path: string, done: Done): void {
    this.#at(path, done, (node) => {
      const target = readTarget(this.union, node);
      if (typeof target === 'number') done(target);
      else done(0, toText(target));
    });
  }

  setxattr(path: string, name: string, value: Buffer, _position: number, flags: number, done: Done): void {
    this.#at(path, done, (node) =>
      done(xattr.setAttribute(this.union, node, fromText(name), Buffer.from(value), flags)),
    );
  }

  getxattr(path: string, name: string, _position: number, done: Done): void {
    this.#at(path, done, (node) => {
      const value = xattr.getAttribute(this.union, node, fromText(name));
      if (typeof value === 'number') done(value === 0 ? -ENODATA : value);
      else done(0, value);
    });
  }

  listxattr(path: string, done: Done): void {
    this.#at(path, done, (node) => {
      const names = xattr.listAttributes(this.union, node);
      if (typeof names === 'number') done(names);
      else done(0, names.map(toText));
    });
  }

  removexattr(path: string, name: string, done: Done): void {
    this.#at(path, done, (node) => done(xattr.removeAttribute(this.union, node, fromText(name))));
  }

  open(path: string, _flags: number, done: Done): void {
    const node = walk(this.union, fromText(path), false);
    if (typeof node === 'number') done(node);
    else done(0, node.id);
  }

  release(_path: string, handle: number, done: Done): void {
    release(this.union, this.#open(handle));
    done(0);
  }

  read(_path: string, handle: number, buffer: Buffer, size: number, position: number, done: Done): void {
    done(data.readData(this.union, this.#open(handle), buffer, size, position));
  }

  write(_path: string, handle: number, buffer: Buffer, size: number, position: number, done: Done): void {
    done(data.writeData(this.union, this.#open(handle), buffer, size, position));
  }

  fsync(_path: string, dataOnly: number, handle: number, done: Done): void {
    done(data.syncNode(this.union, this.#open(handle), dataOnly !== 0));
  }

  #create(path: string, mode: number, device: number, target: string, done: Done): void {
    this.#in(path, done, ({ parent, name }) => {
      const creation = { mode, device, target: fromText(target), creator: ownCreator() };
      const node = createNode(this.union, parent, name, creation);
      if (typeof node === 'number') return node;
      settle(this.union, node);
      return 0;
    });
  }

  create(path: string, mode: number, done: Done): void {
    this.#create(path, S_IFREG | (mode & 0o7777), 0, '', (status) => {
      if (status < 0) done(status);
      else this.open(path, 0, done);
    });
  }

  mknod(path: string, mode: number, device: number, done: Done): void {
    this.#create(path, mode, device, '', done);
  }

  mkdir(path: string, mode: number, done: Done): void {
    this.#create(path, S_IFDIR | (mode & 0o7777), 0, '', done);
  }

  symlink(target: string, path: string, done: Done): void {
    this.#create(path, S_IFLNK | 0o777, 0, target, done);
  }

  unlink(path: string, done: Done): void {
    this.#in(path, done, ({ parent, name }) => unlinkName(this.union, parent, name));
  }

  rmdir(path: string, done: Done): void {
    this.#in(path, done, ({ parent, name }) => removeDirectoryName(this.union, parent, name));
  }

  link(from: string, to: string, done: Done): void {
    this.#at(from, done, (node) =>
      this.#in(to, done, ({ parent, name }) => linkNode(this.union, node, parent, name)),
    );
  }

  rename(from: string, to: string, done: Done): void {
    const source = walkToParent(this.union, fromText(from));
    if (typeof source === 'number') {
      done(source);
      return;
    }
    this.#in(to, done, ({ parent, name }) =>
      renameName(this.union, source.parent, source.name, parent, name, 0),
    );
    release(this.union, source.parent);
  }
}
