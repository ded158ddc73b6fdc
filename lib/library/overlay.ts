// SPDX-License-Identifier: MIT
/**
 * An overlay used by a program without any mount: the engine behind an API in the
 * shape of `node:fs/promises`. Made for testing copy-on-write; the work is done
 * synchronously, the promises keep the shape.
 *
 * Paths are absolute in the merged view (a leading `/` may be left out), strings
 * in UTF-8 or buffers for names that are not. Failures are OverlayErrors with the
 * errno's name as `code`, as in `node:fs`.
 */
import { type ByteString, fromPath, toText } from '../base/bytes.js';
import { EISDIR, ENOENT, ENOSPC, ENOTDIR } from '../base/errno.js';
import { OverlayError } from '../base/errors.js';
import { AttributeChange, getAttributes, setAttributes } from '../overlay/attributes.js';
import { createNode, linkNode } from '../overlay/create.js';
import { ownCreator } from '../overlay/credentials.js';
import { readData, syncAll, writeData } from '../overlay/data.js';
import { type Change, diffViews } from '../overlay/diff.js';
import { type Explanation, explainPath } from '../overlay/explain.js';
import { completeListing, visitEntries } from '../overlay/listing.js';
import { findNode } from '../overlay/lookup.js';
import type { DirectoryNode, OverlayNode } from '../overlay/node.js';
import { type LayerSet, openUnion } from '../overlay/open.js';
import { release, settle } from '../overlay/references.js';
import { removeDirectoryName, unlinkName } from '../overlay/remove.js';
import { renameName } from '../overlay/rename.js';
import type { Union } from '../overlay/union.js';
import { type Named, readTarget, walk, walkToParent } from '../overlay/walk.js';
import * as xattr from '../overlay/xattr.js';
import { S_IFDIR, S_IFLNK, S_IFREG, Stat } from '../sys/stat.js';
import { OverlayStats } from './stats.js';

export type Path = string | Uint8Array;

export class Overlay implements AsyncDisposable {
  readonly #union: Union;
  readonly #layers: LayerSet;

  private constructor(union: Union, layers: LayerSet) {
    this.#union = union;
    this.#layers = layers;
  }

  /** Opens a set of layers. Rejects with an OverlayError that names the layer which cannot be used. */
  static async open(layers: LayerSet): Promise<Overlay> {
    return new Overlay(openUnion(layers), layers);
  }

  /** Writes everything to disk (unless the overlay is volatile) and closes the layers. */
  async close(): Promise<void> {
    this.#done('close', '/', syncAll(this.#union));
    this.#union.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async stat(path: Path): Promise<OverlayStats> {
    return this.#withNode('stat', path, true, (node) => this.#stats('stat', path, node));
  }

  async lstat(path: Path): Promise<OverlayStats> {
    return this.#withNode('lstat', path, false, (node) => this.#stats('lstat', path, node));
  }

  async exists(path: Path): Promise<boolean> {
    const node = walk(this.#union, fromPath(path), true);
    if (typeof node === 'number') {
      if (node === -ENOENT || node === -ENOTDIR) return false;
      throw failure('exists', path, node);
    }
    release(this.#union, node);
    return true;
  }

  async readFile(path: Path): Promise<Buffer>;
  async readFile(path: Path, encoding: BufferEncoding): Promise<string>;
  async readFile(path: Path, encoding?: BufferEncoding): Promise<Buffer | string> {
    const content = this.#withNode('readFile', path, true, (node) => {
      const size = this.#stats('readFile', path, node).size;
      const buffer = Buffer.alloc(size);
      return buffer.subarray(0, this.#done('readFile', path, readData(this.#union, node, buffer, size, 0)));
    });
    return encoding === undefined ? content : content.toString(encoding);
  }

  /** Replaces the content, or makes the file with `mode` (default 0o666 and the umask). */
  async writeFile(path: Path, data: string | Uint8Array, options: { mode?: number } = {}): Promise<void> {
    this.#withFile('writeFile', path, options.mode ?? 0o666, (node) => {
      const change = new AttributeChange();
      change.size = 0;
      this.#done('writeFile', path, setAttributes(this.#union, node, change));
      this.#write('writeFile', path, node, data, 0);
    });
  }

  async appendFile(path: Path, data: string | Uint8Array, options: { mode?: number } = {}): Promise<void> {
    this.#withFile('appendFile', path, options.mode ?? 0o666, (node) => {
      this.#write('appendFile', path, node, data, this.#stats('appendFile', path, node).size);
    });
  }

  /** Overwrites part of a file that exists, from `position` (bytes) on. */
  async write(path: Path, data: string | Uint8Array, position: number): Promise<void> {
    this.#withNode('write', path, true, (node) => this.#write('write', path, node, data, position));
  }

  async truncate(path: Path, size = 0): Promise<void> {
    this.#change('truncate', path, true, (change) => void (change.size = size));
  }

  async chmod(path: Path, mode: number): Promise<void> {
    this.#change('chmod', path, true, (change) => void (change.mode = mode));
  }

  async chown(path: Path, uid: number, gid: number): Promise<void> {
    this.#change('chown', path, true, (change) => void Object.assign(change, { uid, gid }));
  }

  async lchown(path: Path, uid: number, gid: number): Promise<void> {
    this.#change('lchown', path, false, (change) => void Object.assign(change, { uid, gid }));
  }

  /** Times in seconds since the epoch, or dates. */
  async utimes(path: Path, access: number | Date, modify: number | Date): Promise<void> {
    this.#change('utimes', path, true, (change) => {
      [change.accessSeconds, change.accessNanoseconds] = splitTime(access);
      [change.modifySeconds, change.modifyNanoseconds] = splitTime(modify);
    });
  }

  /** The names in a directory, as UTF-8 text. */
  async readdir(path: Path): Promise<string[]> {
    return (await this.readdirBytes(path)).map((name) => name.toString('utf8'));
  }

  /** The names in a directory, byte for byte. */
  async readdirBytes(path: Path): Promise<Buffer[]> {
    return this.#withNode('readdir', path, true, (node) => {
      if (!node.isDirectory()) throw failure('readdir', path, -ENOTDIR);
      return this.#namesOf(path, node).map((name) => Buffer.from(name, 'latin1'));
    });
  }

  async mkdir(path: Path, options: { mode?: number; recursive?: boolean } = {}): Promise<void> {
    const mode = S_IFDIR | (options.mode ?? 0o777);
    if (!options.recursive) return this.#make('mkdir', path, mode, '');
    let partial = '';
    for (const name of fromPath(path).split('/').filter(Boolean)) {
      partial += `/${name}`;
      const bytes = Buffer.from(partial, 'latin1');
      if (await this.exists(bytes)) {
        if (!(await this.stat(bytes)).isDirectory()) throw failure('mkdir', path, -ENOTDIR);
      } else this.#make('mkdir', bytes, mode, '');
    }
  }

  async symlink(target: Path, path: Path): Promise<void> {
    this.#make('symlink', path, S_IFLNK | 0o777, fromPath(target));
  }

  /** `mode` carries the file type (S_IF*); `device` as makedev(3) composes it. */
  async mknod(path: Path, mode: number, device = 0): Promise<void> {
    this.#make('mknod', path, mode, '', device);
  }

  async readlink(path: Path): Promise<string> {
    return this.#withNode('readlink', path, false, (node) => {
      const target = readTarget(this.#union, node);
      if (typeof target === 'number') throw failure('readlink', path, target);
      return toText(target);
    });
  }

  async link(existing: Path, path: Path): Promise<void> {
    this.#withNode('link', existing, false, (node) =>
      this.#withParent('link', path, ({ parent, name }) => linkNode(this.#union, node, parent, name)),
    );
  }

  async unlink(path: Path): Promise<void> {
    this.#withParent('unlink', path, ({ parent, name }) => unlinkName(this.#union, parent, name));
  }

  async rmdir(path: Path): Promise<void> {
    this.#withParent('rmdir', path, ({ parent, name }) => removeDirectoryName(this.#union, parent, name));
  }

  /** Removes a file, or with `recursive` a whole tree; with `force` a path that is not there is no error. */
  async rm(path: Path, options: { recursive?: boolean; force?: boolean } = {}): Promise<void> {
    const node = walk(this.#union, fromPath(path), false);
    if (node === -ENOENT && options.force) return;
    if (typeof node === 'number') throw failure('rm', path, node);
    const isDirectory = node.isDirectory();
    const names = isDirectory && options.recursive ? this.#namesOf(path, node as DirectoryNode) : [];
    release(this.#union, node);
    if (!isDirectory) return this.unlink(path);
    if (!options.recursive) throw failure('rm', path, -EISDIR);
    for (const name of names) await this.rm(Buffer.from(`${fromPath(path)}/${name}`, 'latin1'), options);
    return this.rmdir(path);
  }

  /** `flags`: 1 is RENAME_NOREPLACE, 2 RENAME_EXCHANGE (renameat2(2)). */
  async rename(from: Path, to: Path, flags: 0 | 1 | 2 = 0): Promise<void> {
    this.#withParent('rename', from, (source) => {
      this.#withParent('rename', to, (target) =>
        renameName(this.#union, source.parent, source.name, target.parent, target.name, flags),
      );
      return 0;
    });
  }

  async getxattr(path: Path, name: string): Promise<Buffer> {
    return this.#withNode('getxattr', path, false, (node) => {
      const value = xattr.getAttribute(this.#union, node, fromPath(name));
      if (typeof value === 'number') throw failure('getxattr', path, value);
      return value;
    });
  }

  async listxattr(path: Path): Promise<string[]> {
    return this.#withNode('listxattr', path, false, (node) => {
      const names = xattr.listAttributes(this.#union, node);
      if (typeof names === 'number') throw failure('listxattr', path, names);
      return names.map(toText);
    });
  }

  async setxattr(path: Path, name: string, value: string | Uint8Array): Promise<void> {
    this.#withNode('setxattr', path, false, (node) =>
      this.#done(
        'setxattr',
        path,
        xattr.setAttribute(this.#union, node, fromPath(name), Buffer.from(value), 0),
      ),
    );
  }

  async removexattr(path: Path, name: string): Promise<void> {
    this.#withNode('removexattr', path, false, (node) =>
      this.#done('removexattr', path, xattr.removeAttribute(this.#union, node, fromPath(name))),
    );
  }

  /** Which layer supplies a path, and what the others have of it. */
  async explain(path: Path): Promise<Explanation> {
    const explanation = explainPath(this.#union, fromPath(path));
    if (typeof explanation === 'number') throw failure('explain', path, explanation);
    return explanation;
  }

  /** What was changed against the lower layers, sorted by path; empty for a read-only overlay. */
  async changes(): Promise<{ kind: Change['kind']; path: string }[]> {
    const { upper } = this.#layers;
    if (upper === undefined) return [];
    const { lowers, userxattr } = this.#layers;
    const lower = lowers.length === 0 ? undefined : openUnion({ lowers, userxattr });
    const merged = openUnion({ lowers, upper, readOnly: true, userxattr });
    try {
      return diffViews(merged, lower, upper).map(({ kind, path }) => ({ kind, path: toText(path) }));
    } finally {
      merged.close();
      lower?.close();
    }
  }

  #done(operation: string, path: Path, status: number): number {
    if (status < 0) throw failure(operation, path, status);
    return status;
  }

  #stats(operation: string, path: Path, node: OverlayNode): OverlayStats {
    const stat = new Stat();
    this.#done(operation, path, getAttributes(this.#union, node, stat));
    return new OverlayStats(stat);
  }

  #namesOf(path: Path, node: DirectoryNode): ByteString[] {
    this.#done('readdir', path, completeListing(this.#union, node));
    const names: ByteString[] = [];
    visitEntries(node, 0, ({ name }) => names.push(name) > 0);
    return names;
  }

  #write(
    operation: string,
    path: Path,
    node: OverlayNode,
    data: string | Uint8Array,
    position: number,
  ): void {
    const bytes = Buffer.from(data as Uint8Array);
    const count = this.#done(operation, path, writeData(this.#union, node, bytes, bytes.length, position));
    if (count < bytes.length) throw failure(operation, path, -ENOSPC);
  }

  #change(operation: string, path: Path, follow: boolean, describe: (change: AttributeChange) => void): void {
    const change = new AttributeChange();
    describe(change);
    this.#withNode(operation, path, follow, (node) =>
      this.#done(operation, path, setAttributes(this.#union, node, change)),
    );
  }

  #make(operation: string, path: Path, mode: number, target: ByteString, device = 0): void {
    this.#withParent(operation, path, ({ parent, name }) => {
      const node = createNode(this.#union, parent, name, { mode, device, target, creator: ownCreator() });
      if (typeof node === 'number') return node;
      settle(this.#union, node);
      return 0;
    });
  }

  #withNode<Result>(
    operation: string,
    path: Path,
    follow: boolean,
    use: (node: OverlayNode) => Result,
  ): Result {
    const node = walk(this.#union, fromPath(path), follow);
    if (typeof node === 'number') throw failure(operation, path, node);
    try {
      return use(node);
    } finally {
      release(this.#union, node);
    }
  }

  #withParent(operation: string, path: Path, use: (named: Named) => number): void {
    const named = walkToParent(this.#union, fromPath(path));
    if (typeof named === 'number') throw failure(operation, path, named);
    try {
      this.#done(operation, path, use(named));
    } finally {
      release(this.#union, named.parent);
    }
  }

  /** The file at a path, made if it is not there. */
  #withFile(operation: string, path: Path, mode: number, use: (node: OverlayNode) => void): void {
    this.#withParent(operation, path, ({ parent, name }) => {
      const found = findNode(this.#union, parent, name);
      if (found === -ENOENT) {
        const creation = { mode: S_IFREG | mode, device: 0, target: '', creator: ownCreator() };
        const made = createNode(this.#union, parent, name, creation);
        if (typeof made === 'number') return made;
        settle(this.#union, made);
      } else if (typeof found === 'number') return found;
      else settle(this.#union, found);
      return 0;
    });
    this.#withNode(operation, path, true, (node) => {
      if (node.isDirectory()) throw failure(operation, path, -EISDIR);
      use(node);
    });
  }
}

function failure(operation: string, path: Path, errno: number): OverlayError {
  return new OverlayError({ operation, path: toText(fromPath(path)), errno });
}

function splitTime(time: number | Date): [number, number] {
  const milliseconds = typeof time === 'number' ? time * 1000 : time.getTime();
  const seconds = Math.floor(milliseconds / 1000);
  return [seconds, Math.round((milliseconds - seconds * 1000) * 1e6)];
}
