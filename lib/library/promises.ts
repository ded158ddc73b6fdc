// SPDX-License-Identifier: MIT
/**
 * The functions of node:fs/promises over the view of an overlay, with Node's names, options, results
 * and errors. The work is done synchronously, the promises keep the shape. Paths are absolute in the
 * view, or relative to its root.
 */
import * as fs from 'node:fs';
import {
  encodeName,
  readBoolean,
  readFlags,
  readId,
  readInteger,
  readMode,
  readObject,
  readOptions,
  readPath,
  readTime,
} from './arguments.js';
import { type ContentOptions, checkAborted, checkContent, readAll, writeAll } from './content.js';
import { copyFile } from './copy.js';
import { copyTree, readCopyOptions } from './copy-tree.js';
import { type ListingOptions, OverlayDir, readdir } from './directory.js';
import { notImplemented } from './errors.js';
import { OverlayFileHandle } from './file-handle.js';
import { readStream, writeStream } from './file-streams.js';
import { glob } from './glob.js';
import { link, mkdir, rename, rmdir, symlink, unlink } from './names.js';
import { openFile } from './open.js';
import type { FileCalls } from './shape.js';
import { statFsOf } from './stats.js';
import { makeDirectories, makeTemporary, remove } from './tree.js';
import type { View } from './view.js';

const { O_CREAT, O_TRUNC, O_WRONLY } = fs.constants;

/** Arguments are what anybody may pass; what a caller should, the types of FilePromises say. */
class Calls {
  readonly constants = fs.constants;

  constructor(protected readonly view: View) {}

  async access(path: unknown, mode: unknown = fs.constants.F_OK): Promise<void> {
    const bytes = readPath(path);
    this.view.access(bytes, readInteger(mode ?? fs.constants.F_OK, 'mode', 0, 7));
  }

  async appendFile(path: unknown, data: unknown, options?: unknown): Promise<void> {
    const read = readOptions<ContentOptions>(options);
    await this.writeFile(path, data, { ...read, flag: read.flag || 'a' });
  }

  async chmod(path: unknown, mode: unknown): Promise<void> {
    const [bytes, bits] = [readPath(path), readMode(mode)];
    this.view.change(bytes, true, 'chmod', (change) => void (change.mode = bits & 0o7777));
  }

  async lchmod(_path: unknown, _mode: unknown): Promise<void> {
    throw notImplemented('lchmod()');
  }

  async chown(path: unknown, uid: unknown, gid: unknown): Promise<void> {
    this.#changeOwner('chown', path, uid, gid);
  }

  async lchown(path: unknown, uid: unknown, gid: unknown): Promise<void> {
    this.#changeOwner('lchown', path, uid, gid);
  }

  #changeOwner(syscall: 'chown' | 'lchown', path: unknown, uid: unknown, gid: unknown): void {
    const bytes = readPath(path);
    const owner = { uid: readId(uid, 'uid'), gid: readId(gid, 'gid') };
    this.view.change(bytes, syscall === 'chown', syscall, (change) => void Object.assign(change, owner));
  }

  async copyFile(from: unknown, to: unknown, mode: unknown = 0): Promise<void> {
    const [source, target] = [readPath(from, 'src'), readPath(to, 'dest')];
    copyFile(this.view, source, target, readInteger(mode, 'mode', 0, 7));
  }

  async cp(from: unknown, to: unknown, options?: unknown): Promise<void> {
    const read = readCopyOptions(options);
    await copyTree(this.view, readPath(from, 'src'), readPath(to, 'dest'), read);
  }

  createReadStream(path: string | Buffer | URL, options?: unknown): fs.ReadStream {
    const bytes = readPath(path);
    const open = (flags: unknown) => openFile(this.view, bytes, readFlags(flags));
    return readStream(open, path as string, readOptions(options));
  }

  createWriteStream(path: string | Buffer | URL, options?: unknown): fs.WriteStream {
    const bytes = readPath(path);
    const open = (flags: unknown, mode: unknown) =>
      openFile(this.view, bytes, readFlags(flags, O_WRONLY), readMode(mode, 0o666));
    return writeStream(open, path as string, readOptions(options));
  }

  glob(pattern: unknown, options?: unknown): AsyncIterableIterator<unknown> {
    return glob(this.view, pattern, options);
  }

  async link(existing: unknown, path: unknown): Promise<void> {
    link(this.view, readPath(existing, 'existingPath'), readPath(path, 'newPath'));
  }

  async stat(path: unknown, options?: unknown): Promise<unknown> {
    return this.#stat(path, true, options);
  }

  async lstat(path: unknown, options?: unknown): Promise<unknown> {
    return this.#stat(path, false, options);
  }

  #stat(path: unknown, follow: boolean, options: unknown): unknown {
    const { bigint } = (options ?? {}) as { bigint?: unknown };
    return this.view.stat(readPath(path), follow, bigint === true);
  }

  async mkdir(path: unknown, options?: unknown): Promise<string | undefined> {
    const isMode = typeof options === 'number' || typeof options === 'string';
    const read = (isMode ? { mode: options } : (options ?? {})) as { mode?: unknown; recursive?: unknown };
    const bytes = readPath(path);
    const mode = readMode(read.mode, 0o777);
    if (!readBoolean(read.recursive, 'options.recursive')) {
      mkdir(this.view, bytes, mode);
      return undefined;
    }
    const first = makeDirectories(this.view, bytes, mode);
    return first === undefined ? undefined : (encodeName(first, 'utf8') as string);
  }

  async mkdtemp(prefix: unknown, options?: unknown): Promise<string | Buffer> {
    const { encoding } = readOptions(options);
    return encodeName(makeTemporary(this.view, readPath(prefix, 'prefix')), encoding);
  }

  async open(path: unknown, flags?: unknown, mode?: unknown): Promise<OverlayFileHandle> {
    const [bytes, number] = [readPath(path), readFlags(flags)];
    return new OverlayFileHandle(openFile(this.view, bytes, number, readMode(mode, 0o666)));
  }

  async opendir(path: unknown, options?: unknown): Promise<OverlayDir> {
    const bytes = readPath(path);
    const read = readOptions<ListingOptions & { bufferSize: unknown }>(options);
    if (read.bufferSize !== undefined) readInteger(read.bufferSize, 'options.bufferSize', 1, 2 ** 32 - 1);
    return OverlayDir.open(this.view, bytes, read);
  }

  async readdir(path: unknown, options?: unknown): Promise<unknown[]> {
    const read = readOptions<ListingOptions>(options);
    return readdir(this.view, readPath(path), read);
  }

  async readFile(path: unknown, options?: unknown): Promise<string | Buffer> {
    const read = readOptions<ContentOptions>(options);
    if (path instanceof OverlayFileHandle) return path.readFile(options);
    const [bytes, flags] = [readPath(path), readFlags(read.flag || undefined)];
    checkAborted(read.signal);
    const file = openFile(this.view, bytes, flags);
    try {
      return await readAll(file, read);
    } finally {
      file.close();
    }
  }

  async readlink(path: unknown, options?: unknown): Promise<string | Buffer> {
    const { encoding } = readOptions(options);
    return encodeName(this.view.readlink(readPath(path)), encoding);
  }

  async realpath(path: unknown, options?: unknown): Promise<string | Buffer> {
    const { encoding } = readOptions(options);
    return encodeName(this.view.realpath(readPath(path)), encoding);
  }

  /** Beside Node's: `flags` 1 is RENAME_NOREPLACE, 2 RENAME_EXCHANGE (renameat2(2)). */
  async rename(from: unknown, to: unknown, flags: 0 | 1 | 2 = 0): Promise<void> {
    const [source, target] = [readPath(from, 'oldPath'), readPath(to, 'newPath')];
    rename(this.view, source, target, readInteger(flags, 'flags', 0, 2));
  }

  async rm(path: unknown, options?: unknown): Promise<void> {
    const bytes = readPath(path);
    const read = readRemoval(options);
    remove(this.view, bytes, read.recursive, read.force);
  }

  async rmdir(path: unknown, options?: unknown): Promise<void> {
    const bytes = readPath(path);
    const { recursive } = readRemoval(options);
    if (recursive && this.view.lookUp(bytes)?.isDirectory()) remove(this.view, bytes, true, false);
    else rmdir(this.view, bytes);
  }

  async statfs(path: unknown, options?: { bigint?: boolean }): Promise<unknown> {
    const { size, type } = this.view.statfs(readPath(path));
    return statFsOf(size, type, options?.bigint === true);
  }

  async symlink(target: unknown, path: unknown, _type?: unknown): Promise<void> {
    const [text, bytes] = [readPath(target, 'target'), readPath(path)];
    symlink(this.view, text, bytes);
  }

  async truncate(path: unknown, size: unknown = 0): Promise<void> {
    const file = openFile(this.view, readPath(path), fs.constants.O_RDWR);
    try {
      file.truncate(Math.max(0, readInteger(size ?? 0, 'len', Number.MIN_SAFE_INTEGER)));
    } finally {
      file.close();
    }
  }

  async unlink(path: unknown): Promise<void> {
    unlink(this.view, readPath(path));
  }

  async utimes(path: unknown, access: unknown, modify: unknown): Promise<void> {
    this.#changeTimes('utime', path, access, modify);
  }

  async lutimes(path: unknown, access: unknown, modify: unknown): Promise<void> {
    this.#changeTimes('lutime', path, access, modify);
  }

  #changeTimes(syscall: 'utime' | 'lutime', path: unknown, access: unknown, modify: unknown): void {
    const [bytes, accessTime, modifyTime] = [readPath(path), readTime(access), readTime(modify)];
    this.view.change(bytes, syscall === 'utime', syscall, (change) => {
      [change.accessSeconds, change.accessNanoseconds] = accessTime;
      [change.modifySeconds, change.modifyNanoseconds] = modifyTime;
    });
  }

  /** Refused: nobody is told of changes. */
  watch(..._all: unknown[]): never {
    throw notImplemented('watch()', 'mount the overlay and watch there');
  }

  async writeFile(path: unknown, data: unknown, options?: unknown): Promise<void> {
    const read = readOptions<ContentOptions>(options);
    if (path instanceof OverlayFileHandle) return path.writeFile(data, options);
    const flags = readFlags(read.flag || undefined, O_WRONLY | O_CREAT | O_TRUNC);
    checkContent(data);
    const [bytes, mode] = [readPath(path), readMode(read.mode, 0o666)];
    checkAborted(read.signal);
    const file = openFile(this.view, bytes, flags, mode);
    try {
      await writeAll(file, data, read);
    } finally {
      file.close();
    }
  }
}

interface Removal {
  recursive: unknown;
  force: unknown;
  maxRetries: unknown;
  retryDelay: unknown;
}

function readRemoval(options: unknown): { recursive: boolean; force: boolean } {
  const read = readObject<Removal>(options, (bad) => fs.rmdirSync('', bad));
  const flags = {
    force: readBoolean(read.force, 'options.force'),
    recursive: readBoolean(read.recursive, 'options.recursive'),
  };
  if (read.retryDelay !== undefined) readInteger(read.retryDelay, 'options.retryDelay', 0, 2 ** 31 - 1);
  if (read.maxRetries !== undefined) readInteger(read.maxRetries, 'options.maxRetries', 0, 2 ** 32 - 1);
  return flags;
}

export const OverlayPromises = Calls as unknown as FileCalls;
