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
import { fromPath, toText } from '../base/bytes.js';
import { EISDIR, ENOENT, ENOTDIR } from '../base/errno.js';
import { AttributeChange, setAttributes } from '../overlay/attributes.js';
import { readData, syncAll } from '../overlay/data.js';
import type { Change } from '../overlay/diff.js';
import { diffLayers } from '../overlay/diff-layers.js';
import { type Explanation, explainPath } from '../overlay/explain.js';
import { linkNode } from '../overlay/link.js';
import type { DirectoryNode } from '../overlay/node.js';
import { type LayerSet, openUnion } from '../overlay/open.js';
import { release } from '../overlay/references.js';
import { removeDirectoryName, unlinkName } from '../overlay/remove.js';
import { renameName } from '../overlay/rename.js';
import type { Union } from '../overlay/union.js';
import { readTarget, walk } from '../overlay/walk.js';
import * as xattr from '../overlay/xattr.js';
import { S_IFDIR, S_IFLNK } from '../sys/stat.js';
import { Access, failure, type Path } from './access.js';
import type { OverlayStats } from './stats.js';

export type { Path } from './access.js';

export class Overlay implements AsyncDisposable {
  readonly #union: Union;
  readonly #access: Access;
  readonly #layers: LayerSet;

  private constructor(union: Union, layers: LayerSet) {
    this.#union = union;
    this.#access = new Access(union);
    this.#layers = layers;
  }

  /** Opens a set of layers. Rejects with an OverlayError that names the layer which cannot be used. */
  static async open(layers: LayerSet): Promise<Overlay> {
    return new Overlay(openUnion(layers), layers);
  }

  /** Writes everything to disk (unless the overlay is volatile) and closes the layers. */
  async close(): Promise<void> {
    this.#access.done('close', '/', syncAll(this.#union));
    this.#union.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async stat(path: Path): Promise<OverlayStats> {
    return this.#access.withNode('stat', path, true, (node) => this.#access.stats('stat', path, node));
  }

  async lstat(path: Path): Promise<OverlayStats> {
    return this.#access.withNode('lstat', path, false, (node) => this.#access.stats('lstat', path, node));
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
    const content = this.#access.withNode('readFile', path, true, (node) => {
      const size = this.#access.stats('readFile', path, node).size;
      const buffer = Buffer.alloc(size);
      return buffer.subarray(
        0,
        this.#access.done('readFile', path, readData(this.#union, node, buffer, size, 0)),
      );
    });
    return encoding === undefined ? content : content.toString(encoding);
  }

  /** Replaces the content, or makes the file with `mode` (default 0o666 and the umask). */
  async writeFile(path: Path, data: string | Uint8Array, options: { mode?: number } = {}): Promise<void> {
    this.#access.withFile('writeFile', path, options.mode ?? 0o666, (node) => {
      const change = new AttributeChange();
      change.size = 0;
      this.#access.done('writeFile', path, setAttributes(this.#union, node, change));
      this.#access.write('writeFile', path, node, data, 0);
    });
  }

  async appendFile(path: Path, data: string | Uint8Array, options: { mode?: number } = {}): Promise<void> {
    this.#access.withFile('appendFile', path, options.mode ?? 0o666, (node) => {
      this.#access.write('appendFile', path, node, data, this.#access.stats('appendFile', path, node).size);
    });
  }

  /** Overwrites part of a file that exists, from `position` (bytes) on. */
  async write(path: Path, data: string | Uint8Array, position: number): Promise<void> {
    this.#access.withNode('write', path, true, (node) =>
      this.#access.write('write', path, node, data, position),
    );
  }

  async truncate(path: Path, size = 0): Promise<void> {
    this.#access.change('truncate', path, true, (change) => void (change.size = size));
  }

  async chmod(path: Path, mode: number): Promise<void> {
    this.#access.change('chmod', path, true, (change) => void (change.mode = mode));
  }

  async chown(path: Path, uid: number, gid: number): Promise<void> {
    this.#access.change('chown', path, true, (change) => void Object.assign(change, { uid, gid }));
  }

  async lchown(path: Path, uid: number, gid: number): Promise<void> {
    this.#access.change('lchown', path, false, (change) => void Object.assign(change, { uid, gid }));
  }

  /** Times in seconds since the epoch, or dates. */
  async utimes(path: Path, access: number | Date, modify: number | Date): Promise<void> {
    this.#access.change('utimes', path, true, (change) => {
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
    return this.#access.withNode('readdir', path, true, (node) => {
      if (!node.isDirectory()) throw failure('readdir', path, -ENOTDIR);
      return this.#access.namesOf(path, node).map((name) => Buffer.from(name, 'latin1'));
    });
  }

  async mkdir(path: Path, options: { mode?: number; recursive?: boolean } = {}): Promise<void> {
    const mode = S_IFDIR | (options.mode ?? 0o777);
    if (!options.recursive) return this.#access.make('mkdir', path, mode, '');
    let partial = '';
    for (const name of fromPath(path).split('/').filter(Boolean)) {
      partial += `/${name}`;
      const bytes = Buffer.from(partial, 'latin1');
      if (await this.exists(bytes)) {
        if (!(await this.stat(bytes)).isDirectory()) throw failure('mkdir', path, -ENOTDIR);
      } else this.#access.make('mkdir', bytes, mode, '');
    }
  }

  async symlink(target: Path, path: Path): Promise<void> {
    this.#access.make('symlink', path, S_IFLNK | 0o777, fromPath(target));
  }

  /** `mode` carries the file type (S_IF*); `device` as makedev(3) composes it. */
  async mknod(path: Path, mode: number, device = 0): Promise<void> {
    this.#access.make('mknod', path, mode, '', device);
  }

  async readlink(path: Path): Promise<string> {
    return this.#access.withNode('readlink', path, false, (node) => {
      const target = readTarget(this.#union, node);
      if (typeof target === 'number') throw failure('readlink', path, target);
      return toText(target);
    });
  }

  async link(existing: Path, path: Path): Promise<void> {
    this.#access.withNode('link', existing, false, (node) =>
      this.#access.withParent('link', path, ({ parent, name }) => linkNode(this.#union, node, parent, name)),
    );
  }

  async unlink(path: Path): Promise<void> {
    this.#access.withParent('unlink', path, ({ parent, name }) => unlinkName(this.#union, parent, name));
  }

  async rmdir(path: Path): Promise<void> {
    this.#access.withParent('rmdir', path, ({ parent, name }) =>
      removeDirectoryName(this.#union, parent, name),
    );
  }

  /** Removes a file, or with `recursive` a whole tree; with `force` a path that is not there is no error. */
  async rm(path: Path, options: { recursive?: boolean; force?: boolean } = {}): Promise<void> {
    const node = walk(this.#union, fromPath(path), false);
    if (node === -ENOENT && options.force) return;
    if (typeof node === 'number') throw failure('rm', path, node);
    const isDirectory = node.isDirectory();
    const names = isDirectory && options.recursive ? this.#access.namesOf(path, node as DirectoryNode) : [];
    release(this.#union, node);
    if (!isDirectory) return this.unlink(path);
    if (!options.recursive) throw failure('rm', path, -EISDIR);
    for (const name of names) await this.rm(Buffer.from(`${fromPath(path)}/${name}`, 'latin1'), options);
    return this.rmdir(path);
  }

  /** `flags`: 1 is RENAME_NOREPLACE, 2 RENAME_EXCHANGE (renameat2(2)). */
  async rename(from: Path, to: Path, flags: 0 | 1 | 2 = 0): Promise<void> {
    this.#access.withParent('rename', from, (source) => {
      this.#access.withParent('rename', to, (target) =>
        renameName(this.#union, source.parent, source.name, target.parent, target.name, flags),
      );
      return 0;
    });
  }

  async getxattr(path: Path, name: string): Promise<Buffer> {
    return this.#access.withNode('getxattr', path, false, (node) => {
      const value = xattr.getAttribute(this.#union, node, fromPath(name));
      if (typeof value === 'number') throw failure('getxattr', path, value);
      return value;
    });
  }

  async listxattr(path: Path): Promise<string[]> {
    return this.#access.withNode('listxattr', path, false, (node) => {
      const names = xattr.listAttributes(this.#union, node);
      if (typeof names === 'number') throw failure('listxattr', path, names);
      return names.map(toText);
    });
  }

  async setxattr(path: Path, name: string, value: string | Uint8Array): Promise<void> {
    this.#access.withNode('setxattr', path, false, (node) =>
      this.#access.done(
        'setxattr',
        path,
        xattr.setAttribute(this.#union, node, fromPath(name), Buffer.from(value), 0),
      ),
    );
  }

  async removexattr(path: Path, name: string): Promise<void> {
    this.#access.withNode('removexattr', path, false, (node) =>
      this.#access.done('removexattr', path, xattr.removeAttribute(this.#union, node, fromPath(name))),
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
    return diffLayers(this.#layers).map(({ kind, path }) => ({ kind, path: toText(path) }));
  }
}

function splitTime(time: number | Date): [number, number] {
  const milliseconds = typeof time === 'number' ? time * 1000 : time.getTime();
  const seconds = Math.floor(milliseconds / 1000);
  return [seconds, Math.round((milliseconds - seconds * 1000) * 1e6)];
}
