// SPDX-License-Identifier: MIT
/**
 * The system calls of an overlay: paths in, results or errors in the shape of Node's out. Each one
 * judges its path as the kernel's function of that name does (fs/namei.c, fs/open.c); what is done
 * in the layers is the engine's.
 */
import { constants } from 'node:fs';
import type { ByteString } from '../base/bytes.js';
import { EACCES, ENOENT, EROFS } from '../base/errno.js';
import { AttributeChange, getAttributes, setAttributes } from '../overlay/data/attributes.js';
import { fileSystemSize, syncAll } from '../overlay/data/data.js';
import { completeListing } from '../overlay/names/listing.js';
import {
  type Found,
  find,
  type Named,
  readTarget,
  releaseFound,
  walkToParent,
} from '../overlay/names/walk.js';
import { visitEntries } from '../overlay/nodes/entries.js';
import type { OverlayNode } from '../overlay/nodes/node.js';
import { release } from '../overlay/nodes/references.js';
import type { Union } from '../overlay/nodes/union.js';
import { deviceNumber } from '../sys/entries.js';
import { type FileSystemSize, fileSystemType } from '../sys/mounts.js';
import { Stat } from '../sys/stat.js';
import { closedError, done, type Failed, FileError, value } from './errors.js';
import { permits } from './permissions.js';
import { OverlayBigIntStats, OverlayStats } from './stats.js';

/** A name in a directory. */
export interface Listed {
  name: ByteString;
  /** As S_IF*. */
  type: number;
}

export class View {
  /** Files that are open; closed with the overlay. */
  readonly opened = new Set<{ close(): void }>();
  #union: Union | null;
  #device = -1;

  constructor(union: Union) {
    this.#union = union;
  }

  /** Throws where the overlay is closed: its descriptors' numbers may be somebody else's by now. */
  get union(): Union {
    if (this.#union === null) {
      throw closedError('access', 'the overlay is closed', 'open it again with Overlay.open');
    }
    return this.#union;
  }

  /** Throws where the overlay is closed. */
  judgeOpen(): void {
    void this.union;
  }

  /** Closing again changes nothing. */
  close(): void {
    if (this.#union === null) return;
    const union = this.union;
    for (const file of this.opened) file.close();
    const status = syncAll(union);
    this.#union = null;
    union.close();
    done(status, { syscall: 'syncfs' });
  }

  /** Calls `use` with what is at a path. */
  at<Result>(
    path: ByteString,
    follow: boolean,
    failed: Failed,
    use: (node: OverlayNode, found: Found) => Result,
  ): Result {
    const found = this.find(path, follow, failed);
    try {
      if (typeof found.node === 'number') throw new FileError(found.node, failed);
      return use(found.node, found);
    } finally {
      releaseFound(this.union, found);
    }
  }

  /** Where a path ends, to be given back by releaseFound. The empty path is nowhere (LOOKUP_EMPTY is not asked for). */
  find(path: ByteString, follow: boolean, failed: Failed): Found {
    return value(path === '' ? -ENOENT : find(this.union, path, follow), failed);
  }

  /** Calls `use` with the directory that a path's last name is in, and the name (filename_parentat). */
  in<Result>(path: ByteString, failed: Failed, use: (named: Named) => Result): Result {
    const named = value(path === '' ? -ENOENT : walkToParent(this.union, path), failed);
    try {
      return use(named);
    } finally {
      release(this.union, named.parent);
    }
  }

  measure(node: OverlayNode, syscall: string): Stat {
    const stat = new Stat();
    done(getAttributes(this.union, node, stat), { syscall });
    return stat;
  }

  statsOf(node: OverlayNode, bigint: boolean, failed: Failed): OverlayStats | OverlayBigIntStats {
    const stat = new Stat();
    done(getAttributes(this.union, node, stat), failed);
    return bigint ? new OverlayBigIntStats(stat, this.device) : new OverlayStats(stat, this.device);
  }

  /** One number for the whole view, as a mount has: that of the layer on top. */
  get device(): number {
    if (this.#device < 0) {
      const { upper, lowers } = this.union;
      const { fileSystem } = upper ?? lowers[0];
      this.#device = deviceNumber(Math.floor(fileSystem / 2 ** 20), fileSystem % 2 ** 20);
    }
    return this.#device;
  }

  stat(path: ByteString, follow: boolean, bigint = false): OverlayStats | OverlayBigIntStats {
    const failed = { syscall: follow ? 'stat' : 'lstat', path };
    return this.at(path, follow, failed, (node) => this.statsOf(node, bigint, failed));
  }

  /** The attributes of what is at a path, or undefined where nothing is. */
  lookUp(path: ByteString, follow = false): OverlayStats | undefined {
    try {
      return this.stat(path, follow) as OverlayStats;
    } catch (failure) {
      if (failure instanceof FileError && /^(ENOENT|ENOTDIR)$/.test(failure.code!)) return undefined;
      throw failure;
    }
  }

  leadsToDirectory(path: ByteString): boolean {
    const found = find(this.union, path, true);
    if (typeof found === 'number') return false;
    const isDirectory = typeof found.node !== 'number' && found.node.isDirectory();
    releaseFound(this.union, found);
    return isDirectory;
  }

  /** access(2). */
  access(path: ByteString, mode: number): void {
    const failed = { syscall: 'access', path };
    this.at(path, true, failed, (node) => {
      const stat = this.measure(node, 'access');
      done(permits(stat, mode) ? 0 : -EACCES, failed);
      const writes = (mode & constants.W_OK) !== 0 && (stat.isRegular || stat.isDirectory);
      if (writes && !this.union.writable) done(-EROFS, failed);
    });
  }

  change(
    path: ByteString,
    follow: boolean,
    syscall: string,
    describe: (change: AttributeChange) => void,
  ): void {
    const failed = { syscall, path };
    this.at(path, follow, failed, (node) => this.changeNode(node, failed, describe));
  }

  changeNode(node: OverlayNode, failed: Failed, describe: (change: AttributeChange) => void): void {
    const change = new AttributeChange();
    describe(change);
    done(this.union.writable ? setAttributes(this.union, node, change) : -EROFS, failed);
  }

  readlink(path: ByteString): ByteString {
    const failed = { syscall: 'readlink', path };
    return this.at(path, false, failed, (node) => value(readTarget(this.union, node), failed));
  }

  /** The absolute path of what a path leads to, without symlinks. */
  realpath(path: ByteString): ByteString {
    return this.at(path, true, { syscall: 'realpath', path }, (node, { parent, name }) => {
      const names = node.isDirectory() ? [] : [name];
      for (let at = node.isDirectory() ? node : parent; at !== this.union.root; at = at.parent!) {
        if (at.parent === null) throw new FileError(-ENOENT, { syscall: 'realpath', path });
        names.unshift(at.name);
      }
      return `/${names.join('/')}`;
    });
  }

  list(path: ByteString, syscall = 'scandir'): Listed[] {
    const failed = { syscall, path };
    // With a slash, so that what is no directory is refused where the path is judged.
    return this.at(`${path}${path === '' ? '' : '/'}`, true, failed, (node) => this.#entries(node, failed));
  }

  /** As `list`; nothing where no directory is or it may not be read. */
  listIfThere(path: ByteString): Listed[] {
    try {
      return this.list(path);
    } catch (failure) {
      if (failure instanceof FileError && /^(ENOENT|ENOTDIR|EACCES|ELOOP)$/.test(failure.code!)) return [];
      throw failure;
    }
  }

  #entries(node: OverlayNode, failed: Failed): Listed[] {
    const names: Listed[] = [];
    if (!node.isDirectory()) return names;
    done(completeListing(this.union, node), failed);
    visitEntries(this.union, node, 0, ({ name, type }) => names.push({ name, type }) > 0);
    return names;
  }

  statfs(path: ByteString): { size: FileSystemSize; type: number } {
    const failed = { syscall: 'statfs', path };
    return this.at(path, true, failed, () => {
      const { fd } = this.union.upper ?? this.union.lowers[0];
      return { size: value(fileSystemSize(this.union), failed), type: fileSystemType(fd) };
    });
  }
}
