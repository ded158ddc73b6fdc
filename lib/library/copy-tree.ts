// SPDX-License-Identifier: MIT
/** `cp`: files, symlinks and trees within one view, by the rules of Node's own (lib/internal/fs/cp/cp.js). */
import * as fs from 'node:fs';
import { posix } from 'node:path';
import { type ByteString, toText } from '../base/bytes.js';
import { invalidType, readBoolean, readInteger, readObject, readTime } from './arguments.js';
import { copyFile } from './copy.js';
import { copyError } from './copy-errors.js';
import { below } from './directory.js';
import { codedError, FileError } from './errors.js';
import { mkdir, symlink, unlink } from './names.js';
import type { OverlayBigIntStats } from './stats.js';
import { isDirectoryError, makeDirectories } from './tree.js';
import type { View } from './view.js';

const { S_IWUSR } = fs.constants;

type Filter = (from: string, to: string) => unknown;

export interface CopyOptions {
  dereference: boolean;
  errorOnExist: boolean;
  force: boolean;
  preserveTimestamps: boolean;
  recursive: boolean;
  verbatimSymlinks: boolean;
  /** As of copyFile. */
  mode: number;
  filter: Filter | undefined;
}

export function readCopyOptions(value: unknown): CopyOptions {
  const read = readObject<Record<keyof CopyOptions, unknown>>(value, (bad) => fs.cpSync('', '', bad));
  const flag = (name: keyof CopyOptions, otherwise = false): boolean =>
    read[name] === undefined ? otherwise : readBoolean(read[name], `options.${name}`);
  const options = {
    dereference: flag('dereference'),
    errorOnExist: flag('errorOnExist'),
    force: flag('force', true),
    preserveTimestamps: flag('preserveTimestamps'),
    recursive: flag('recursive'),
    verbatimSymlinks: flag('verbatimSymlinks'),
    mode: readInteger(read.mode ?? 0, 'mode', 0, 7),
    filter: read.filter as Filter | undefined,
  };
  if (options.dereference && options.verbatimSymlinks) {
    const text = 'Option "dereference" cannot be used in combination with option "verbatimSymlinks"';
    throw codedError(new TypeError(text), 'ERR_INCOMPATIBLE_OPTION_PAIR');
  }
  if (options.filter !== undefined && typeof options.filter !== 'function') {
    throw invalidType('options.filter', 'of type function', options.filter);
  }
  return options;
}

/** One file, symlink or directory that is copied, and what is at its target so far. */
interface Copied {
  from: ByteString;
  to: ByteString;
  source: OverlayBigIntStats;
  target: OverlayBigIntStats | undefined;
}

export async function copyTree(
  view: View,
  from: ByteString,
  to: ByteString,
  options: CopyOptions,
): Promise<void> {
  await new TreeCopy(view, options).copy(from, to);
}

class TreeCopy {
  constructor(
    private readonly view: View,
    private readonly options: CopyOptions,
  ) {}

  async copy(from: ByteString, to: ByteString): Promise<void> {
    const copied = await this.#judge(from, to);
    if (copied === undefined) return;
    this.#refuseWithin(copied);
    const parent = posix.dirname(to);
    if (this.view.lookUp(parent, true) === undefined) makeDirectories(this.view, parent, 0o777);
    await this.#copyOne(copied);
  }

  /** Undefined for what the filter leaves out. */
  async #judge(from: ByteString, to: ByteString): Promise<Copied | undefined> {
    const { filter, dereference } = this.options;
    if (filter !== undefined && !(await filter(toText(from), toText(to)))) return undefined;
    const source = this.view.stat(from, dereference, true) as OverlayBigIntStats;
    const target = this.#present(to, dereference);
    if (target !== undefined) {
      if (source.ino === target.ino) throw copyError('same', to);
      if (source.isDirectory() && !target.isDirectory()) throw copyError('overNonDirectory', to, from);
      if (!source.isDirectory() && target.isDirectory()) throw copyError('overDirectory', to, from);
    }
    if (source.isDirectory() && isWithin(from, to)) throw copyError('within', to, from);
    return { from, to, source, target };
  }

  #present(path: ByteString, follow: boolean): OverlayBigIntStats | undefined {
    try {
      return this.view.stat(path, follow, true) as OverlayBigIntStats;
    } catch (failure) {
      if (failure instanceof FileError && failure.code === 'ENOENT') return undefined;
      throw failure;
    }
  }

  /** Refuses a target below its source also where symlinks lead there. */
  #refuseWithin({ from, to, source }: Copied): void {
    const sourceParent = absolute(posix.dirname(from));
    for (let at = to; ; ) {
      const parent = absolute(posix.dirname(at));
      if (parent === sourceParent || parent === '/') return;
      const above = this.#present(parent, true);
      if (above === undefined) return;
      if (above.ino === source.ino) throw copyError('within', at, from);
      at = parent;
    }
  }

  async #copyOne(copied: Copied): Promise<void> {
    const { from, to, source } = copied;
    if (source.isDirectory()) {
      if (!this.options.recursive) throw isDirectoryError('cp', from);
      return this.#copyDirectory(copied);
    }
    if (source.isSymbolicLink()) return this.#copyLink(copied);
    if (source.isSocket()) throw copyError('socket', to);
    if (source.isFIFO()) throw copyError('fifo', to);
    return this.#copyFile(copied);
  }

  async #copyDirectory({ from, to, source, target }: Copied): Promise<void> {
    if (target === undefined) mkdir(this.view, to, 0o777);
    for (const { name } of this.view.list(from, 'opendir')) {
      const child = await this.#judge(below(from, name), below(to, name));
      if (child !== undefined) await this.#copyOne(child);
    }
    if (target === undefined) this.#changeMode(to, Number(source.mode));
  }

  #copyFile({ from, to, source, target }: Copied): void {
    if (target !== undefined) {
      if (!this.options.force) {
        if (this.options.errorOnExist) throw copyError('exists', to);
        return;
      }
      unlink(this.view, to);
    }
    copyFile(this.view, from, to, this.options.mode);
    const mode = Number(source.mode);
    if (this.options.preserveTimestamps) {
      if ((mode & S_IWUSR) === 0) this.#changeMode(to, mode | S_IWUSR);
      this.#copyTimes(from, to);
    }
    this.#changeMode(to, mode);
  }

  #changeMode(path: ByteString, mode: number): void {
    this.view.change(path, true, 'chmod', (change) => void (change.mode = mode & 0o7777));
  }

  /** To the millisecond, which is what a Date holds. */
  #copyTimes(from: ByteString, to: ByteString): void {
    const { atime, mtime } = this.view.stat(from, true);
    this.view.change(to, true, 'utime', (change) => {
      [change.accessSeconds, change.accessNanoseconds] = readTime(atime);
      [change.modifySeconds, change.modifyNanoseconds] = readTime(mtime);
    });
  }

  #copyLink({ from, to, target }: Copied): void {
    const text = this.view.readlink(from);
    const leadsTo = this.options.verbatimSymlinks ? text : absolute(text, posix.dirname(from));
    if (target?.isSymbolicLink() === true) this.#removeLink(from, to, leadsTo);
    // Onto anything else it fails with EEXIST, as Node's does.
    symlink(this.view, leadsTo, to);
  }

  #removeLink(from: ByteString, to: ByteString, leadsTo: ByteString): void {
    const present = absolute(this.view.readlink(to), posix.dirname(to));
    if (isWithin(leadsTo, present)) throw copyError('within', to, leadsTo, present);
    // Without the target the link would lead to nothing.
    if (this.view.stat(from, true).isDirectory() && isWithin(present, leadsTo)) {
      throw copyError('aboveTarget', to, leadsTo, present);
    }
    unlink(this.view, to);
  }
}

function absolute(path: ByteString, directory: ByteString = '/'): ByteString {
  return posix.resolve('/', directory, path);
}

/** By the text of the paths; what symlinks do to them is looked at elsewhere. */
function isWithin(directory: ByteString, path: ByteString): boolean {
  const names = absolute(path).split('/').filter(Boolean);
  return absolute(directory)
    .split('/')
    .filter(Boolean)
    .every((name, index) => names[index] === name);
}
