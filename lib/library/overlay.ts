// SPDX-License-Identifier: MIT
/**
 * An overlay used by a program without any mount: the engine behind the functions of
 * `node:fs/promises`, and what an overlay has beside them. Made for testing copy-on-write; the
 * work is done synchronously, the promises keep the shape.
 */
import { resolve } from 'node:path';
import { toText } from '../base/bytes.js';
import { EINVAL, ENOENT } from '../base/errno.js';
import * as xattr from '../overlay/data/xattr.js';
import type { Change } from '../overlay/inspect/diff.js';
import { diffLayers } from '../overlay/inspect/diff-layers.js';
import { type Explanation, explainPath } from '../overlay/inspect/explain.js';
import type { LayerSet } from '../overlay/layers/layer-set.js';
import { openUnion } from '../overlay/open/open.js';
import { S_IFDIR, S_IFLNK, S_IFMT, S_IFREG } from '../sys/stat.js';
import { type Path, readInteger, readPath } from './arguments.js';
import { bytesOf } from './content.js';
import { done, FileError, value } from './errors.js';
import { makeName } from './names.js';
import { openFile } from './open.js';
import { OverlayPromises } from './promises.js';
import { View } from './view.js';

export type { Path } from './arguments.js';

export class Overlay extends OverlayPromises implements AsyncDisposable {
  readonly #view: View;
  readonly #layers: LayerSet;

  private constructor(view: View, layers: LayerSet) {
    super(view);
    this.#view = view;
    this.#layers = layers;
  }

  /** Opens a set of layers. Rejects with an OverlayError that names the layer which cannot be used. */
  static async open(layers: LayerSet): Promise<Overlay> {
    // Errors name the layers as they were given; what is opened later is what they are now.
    return new Overlay(new View(openUnion(layers)), absoluteLayers(layers));
  }

  /** Writes everything to disk (unless the overlay is volatile) and closes the layers. Closing again changes nothing. */
  async close(): Promise<void> {
    this.#view.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Whether `stat` would find anything. Throws for paths that node:fs refuses, as `stat` does. */
  async exists(path: Path): Promise<boolean> {
    const bytes = readPath(path);
    try {
      this.#view.stat(bytes, true);
      return true;
    } catch (failure) {
      if (failure instanceof FileError && MISSING.has(failure.code!)) return false;
      throw failure;
    }
  }

  /** Overwrites part of a file that exists, from `position` (bytes) on. */
  async write(path: Path, data: string | ArrayBufferView, position: number): Promise<void> {
    const [bytes, at] = [readPath(path), readInteger(position, 'position', 0)];
    const file = openFile(this.#view, bytes, this.constants.O_WRONLY);
    try {
      file.writeAll(bytesOf(data), at);
    } finally {
      file.close();
    }
  }

  /** The names in a directory, byte for byte. */
  async readdirBytes(path: Path): Promise<Buffer[]> {
    return this.readdir(path as string, 'buffer') as Promise<Buffer[]>;
  }

  /** `mode` carries the file type (S_IF*), none is a file's; `device` as makedev(3) composes it. */
  async mknod(path: Path, mode: number, device = 0): Promise<void> {
    const failed = { syscall: 'mknod', path: readPath(path) };
    const type = readInteger(mode, 'mode', 0, 0xffff) & S_IFMT;
    if (type === S_IFDIR || type === S_IFLNK) done(-EINVAL, failed);
    makeName(this.#view, failed.path, 'mknod', { mode: type === 0 ? mode | S_IFREG : mode, device });
  }

  async getxattr(path: Path, name: string): Promise<Buffer> {
    const failed = { syscall: 'getxattr', path: readPath(path) };
    const attribute = readPath(name);
    return this.#view.at(failed.path, false, failed, (node) =>
      value(xattr.getAttribute(this.#view.union, node, attribute), failed),
    );
  }

  async listxattr(path: Path): Promise<string[]> {
    const failed = { syscall: 'listxattr', path: readPath(path) };
    return this.#view.at(failed.path, false, failed, (node) =>
      value(xattr.listAttributes(this.#view.union, node), failed).map(toText),
    );
  }

  async setxattr(path: Path, name: string, data: string | Uint8Array): Promise<void> {
    const failed = { syscall: 'setxattr', path: readPath(path) };
    const [attribute, bytes] = [readPath(name), bytesOf(data)];
    this.#view.at(failed.path, false, failed, (node) =>
      done(xattr.setAttribute(this.#view.union, node, attribute, bytes, 0), failed),
    );
  }

  async removexattr(path: Path, name: string): Promise<void> {
    const failed = { syscall: 'removexattr', path: readPath(path) };
    const attribute = readPath(name);
    this.#view.at(failed.path, false, failed, (node) =>
      done(xattr.removeAttribute(this.#view.union, node, attribute), failed),
    );
  }

  /** Which layer supplies a path, and what the others have of it. */
  async explain(path: Path): Promise<Explanation> {
    const failed = { syscall: 'explain', path: readPath(path) };
    if (failed.path === '') done(-ENOENT, failed);
    return value(explainPath(this.#view.union, failed.path), failed);
  }

  /** What was changed against the lower layers, sorted by path; empty for a read-only overlay. */
  async changes(): Promise<{ kind: Change['kind']; path: string }[]> {
    this.#view.judgeOpen();
    return diffLayers(this.#layers).map(({ kind, path }) => ({ kind, path: toText(path) }));
  }
}

/** With these a path leads to nothing. */
const MISSING = new Set(['ENOENT', 'ENOTDIR', 'ENAMETOOLONG', 'ELOOP']);

/** A copy that neither chdir nor the caller can change. */
function absoluteLayers(layers: LayerSet): LayerSet {
  const { lowers, dataLowers, upper, work } = layers;
  return {
    ...layers,
    lowers: lowers.map((path) => resolve(path)),
    dataLowers: dataLowers?.map((path) => resolve(path)),
    upper: upper === undefined ? undefined : resolve(upper),
    work: work === undefined ? undefined : resolve(work),
  };
}
