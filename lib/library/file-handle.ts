// SPDX-License-Identifier: MIT
/** An open file in the shape of node:fs/promises's FileHandle. It has no descriptor of the kernel's. */
import { EventEmitter } from 'node:events';
import type { ReadStream, WriteStream } from 'node:fs';
import { createInterface, type Interface } from 'node:readline';
import type { ReadableStream } from 'node:stream/web';
import { EOPNOTSUPP } from '../base/errno.js';
import {
  invalidType,
  invalidValue,
  outOfRange,
  readId,
  readInteger,
  readMode,
  readObject,
  readOptions,
  readTime,
} from './arguments.js';
import { bytesOf, type ContentOptions, checkContent, readAll, writeAll } from './content.js';
import { codedError, FileError } from './errors.js';
import { readStream, webStream, writeStream } from './file-streams.js';
import type { OpenFile } from './open-file.js';
import type { OverlayBigIntStats, OverlayStats } from './stats.js';

/** Which bytes of a buffer are meant. */
interface Span {
  offset?: unknown;
  length?: unknown;
  position?: unknown;
}

type Bytes = ArrayBufferView;

export class OverlayFileHandle extends EventEmitter implements AsyncDisposable {
  readonly #file: OpenFile;
  #isLocked = false;

  constructor(file: OpenFile) {
    super();
    this.#file = file;
  }

  /** Refused: what is not a descriptor must not be used as one. */
  get fd(): number {
    throw new FileError(-EOPNOTSUPP, {
      syscall: 'fd',
      reason: 'a file of an overlay that is not mounted has no descriptor',
      remedy: 'use the methods of the FileHandle, or mount the overlay',
    });
  }

  async appendFile(data: unknown, options?: unknown): Promise<void> {
    await this.writeFile(data, options);
  }

  async chmod(mode: unknown): Promise<void> {
    const bits = readMode(mode);
    this.#file.change('fchmod', (change) => void (change.mode = bits & 0o7777));
  }

  async chown(uid: unknown, gid: unknown): Promise<void> {
    const owner = { uid: readId(uid, 'uid'), gid: readId(gid, 'gid') };
    this.#file.change('fchown', (change) => void Object.assign(change, owner));
  }

  /** Closing again changes nothing. */
  async close(): Promise<void> {
    if (!this.#file.isOpen) return;
    this.#file.close();
    this.emit('close');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  createReadStream(options: object = {}): ReadStream {
    return this.#streamed(readStream(this.#file, undefined, options));
  }

  createWriteStream(options: object = {}): WriteStream {
    return this.#streamed(writeStream(this.#file, undefined, options));
  }

  #streamed<Stream extends ReadStream | WriteStream>(stream: Stream): Stream {
    (stream as EventEmitter).once('close', () => this.#file.isOpen || this.emit('close'));
    return stream;
  }

  async datasync(): Promise<void> {
    this.#file.sync('fdatasync', true);
  }

  async sync(): Promise<void> {
    this.#file.sync('fsync', false);
  }

  async read(
    target?: unknown,
    offset?: unknown,
    length?: unknown,
    position?: unknown,
  ): Promise<{ bytesRead: number; buffer: Bytes }> {
    this.#file.node('read');
    const isBuffer = ArrayBuffer.isView(target);
    if (!isBuffer && target !== undefined && target !== null && typeof target !== 'object') {
      throw invalidType('buffer', 'an instance of Buffer, TypedArray, or DataView', target);
    }
    const options = (isBuffer ? offset : target) as ({ buffer?: unknown } & Span) | null | undefined;
    const buffer = isBuffer ? target : ((options?.buffer as Bytes | undefined) ?? Buffer.alloc(16384));
    if (!ArrayBuffer.isView(buffer)) {
      throw invalidType('buffer', 'an instance of Buffer, TypedArray, or DataView', buffer);
    }
    const span =
      isBuffer && (offset === null || typeof offset !== 'object') ? { offset, length, position } : options;
    const bytes = spanOf(buffer, span ?? {});
    if (bytes.length === 0) return { bytesRead: 0, buffer };
    if (buffer.byteLength === 0) throw invalidValue('buffer', buffer, 'is empty and cannot be written');
    return { bytesRead: this.#file.read(bytes, readPosition(span?.position)), buffer };
  }

  async readv(buffers: unknown, position?: unknown): Promise<{ bytesRead: number; buffers: Bytes[] }> {
    const views = viewsOf(buffers);
    const from = typeof position === 'number' ? position : null;
    let bytesRead = 0;
    for (const view of views) {
      const count = this.#file.read(bytesOf(view), from === null ? null : from + bytesRead);
      bytesRead += count;
      if (count < view.byteLength) break;
    }
    return { bytesRead, buffers: views };
  }

  async readFile(options?: unknown): Promise<string | Buffer> {
    const read = readOptions<ContentOptions>(options);
    this.#file.node('readFile');
    return readAll(this.#file, read);
  }

  readLines(options?: object): Interface {
    return createInterface({ input: this.createReadStream(options), crlfDelay: Number.POSITIVE_INFINITY });
  }

  readableWebStream(options: { autoClose?: boolean } = {}): ReadableStream {
    this.#file.node('read');
    if (this.#isLocked) {
      throw codedError(new Error('Invalid state: The FileHandle is locked'), 'ERR_INVALID_STATE');
    }
    this.#isLocked = true;
    return webStream(this.#file, () => {
      if (options.autoClose === true) this.#file.close();
    });
  }

  async stat(options?: unknown): Promise<OverlayStats | OverlayBigIntStats> {
    const { bigint } = readObject<{ bigint: boolean }>(options ?? {}, () => undefined);
    return this.#file.stat(bigint === true);
  }

  async truncate(size: unknown = 0): Promise<void> {
    this.#file.truncate(Math.max(0, readInteger(size ?? 0, 'len', Number.MIN_SAFE_INTEGER)));
  }

  async utimes(access: unknown, modify: unknown): Promise<void> {
    const [accessTime, modifyTime] = [readTime(access), readTime(modify)];
    this.#file.change('futime', (change) => {
      [change.accessSeconds, change.accessNanoseconds] = accessTime;
      [change.modifySeconds, change.modifyNanoseconds] = modifyTime;
    });
  }

  /** Bytes with their offset, length and position, or text with its position and encoding. */
  async write(
    data: unknown,
    offset?: unknown,
    length?: unknown,
    position?: unknown,
  ): Promise<{ bytesWritten: number; buffer: unknown }> {
    this.#file.node('write');
    if (typeof data === 'string') {
      const bytes = Buffer.from(data, textEncoding(data, length));
      return { bytesWritten: this.#file.write(bytes, numberOrNull(offset)), buffer: data };
    }
    if (!ArrayBuffer.isView(data)) {
      throw invalidType('buffer', 'of type string or an instance of Buffer, TypedArray, or DataView', data);
    }
    const span =
      typeof offset === 'object' && offset !== null ? (offset as Span) : { offset, length, position };
    const bytes = spanOf(data, span);
    return { bytesWritten: this.#file.write(bytes, numberOrNull(span.position)), buffer: data };
  }

  async writev(buffers: unknown, position?: unknown): Promise<{ bytesWritten: number; buffers: Bytes[] }> {
    const views = viewsOf(buffers);
    const bytes = Buffer.concat(views.map((view) => bytesOf(view)));
    return { bytesWritten: this.#file.write(bytes, numberOrNull(position)), buffers: views };
  }

  async writeFile(data: unknown, options?: unknown): Promise<void> {
    const read = readOptions<ContentOptions>(options);
    checkContent(data);
    this.#file.node('writeFile');
    await writeAll(this.#file, data, read);
  }
}

/** An encoding that is none is UTF-8 here, as in Node (validateEncoding in lib/internal/fs/utils.js). */
function textEncoding(text: string, encoding: unknown): BufferEncoding {
  if (!Buffer.isEncoding(encoding as string)) return 'utf8';
  if (/^hex$/i.test(encoding as string) && text.length % 2 !== 0) {
    throw invalidValue('encoding', encoding, `is invalid for data of length ${text.length}`);
  }
  return encoding as BufferEncoding;
}

function numberOrNull(position: unknown): number | null {
  return typeof position === 'number' && position >= 0 ? position : null;
}

/** Of a read: a number or bigint that is no less than 0, or -1 and nothing for where the last one ended. */
function readPosition(position: unknown): number | null {
  if (position === undefined || position === null) return null;
  if (typeof position !== 'number' && typeof position !== 'bigint') {
    throw invalidType('position', 'of type integer or bigint', position);
  }
  const number = readInteger(Number(position), 'position', -1);
  return number < 0 ? null : number;
}

function spanOf(view: Bytes, { offset, length }: Span): Uint8Array {
  const whole = bytesOf(view);
  const start = offset === undefined || offset === null ? 0 : readInteger(offset, 'offset', 0);
  if (start > whole.length) throw outOfRange('offset', `<= ${whole.length}`, start);
  const rest = whole.length - start;
  const count = length === undefined || length === null ? rest : readInteger(length, 'length', 0);
  if (count > rest) throw outOfRange('length', `<= ${rest}`, count);
  return whole.subarray(start, start + count);
}

function viewsOf(buffers: unknown): Bytes[] {
  if (!Array.isArray(buffers) || !buffers.every((one) => ArrayBuffer.isView(one))) {
    throw invalidType('buffers', 'an instance of ArrayBufferView[]', buffers);
  }
  return buffers as Bytes[];
}
