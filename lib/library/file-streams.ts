// SPDX-License-Identifier: MIT
/**
 * Streams over files of an overlay. They are node:fs's own, which take other functions for opening,
 * reading and writing (its option `fs`); the number that stands for the file means nothing.
 */
import { createReadStream, createWriteStream, type ReadStream, type WriteStream } from 'node:fs';
import { ReadableStream } from 'node:stream/web';
import type { OpenFile } from './open-file.js';

/** Node's streams want a number that is not 0, which counts as closed, and hand it back. No file has this one. */
const NUMBER = 2 ** 31 - 1;

type Callback = (failure: unknown, ...results: unknown[]) => void;

/** Calls back later, as asynchronous work does. */
function answer(callback: Callback, work: () => unknown[]): void {
  setImmediate(() => {
    let results: unknown[];
    try {
      results = work();
    } catch (failure) {
      callback(failure);
      return;
    }
    callback(null, ...results);
  });
}

/** Opens by path. */
export type Opener = (flags: unknown, mode: unknown) => OpenFile;

/** A file that is open already, or how it will be opened. */
type Streamed = OpenFile | Opener;

function functionsFor(streamed: Streamed): object {
  let file = typeof streamed === 'function' ? undefined : streamed;
  const opened = (): OpenFile => file!;
  return {
    open(_path: unknown, flags: unknown, mode: unknown, callback: Callback) {
      answer(callback, () => {
        file = (streamed as Opener)(flags, mode);
        return [NUMBER];
      });
    },
    read(_: number, into: Uint8Array, offset: number, length: number, at: number | null, callback: Callback) {
      const target = into.subarray(offset, offset + length);
      answer(callback, () => [opened().read(target, at ?? null), into]);
    },
    write(
      _: number,
      from: Uint8Array,
      offset: number,
      length: number,
      at: number | null,
      callback: Callback,
    ) {
      const source = from.subarray(offset, offset + length);
      answer(callback, () => [opened().write(source, at ?? null), from]);
    },
    writev(_: number, parts: Uint8Array[], at: number | null, callback: Callback) {
      answer(callback, () => [opened().write(Buffer.concat(parts), at ?? null), parts]);
    },
    fsync(_: number, callback: Callback) {
      answer(callback, () => {
        opened().sync('fsync', false);
        return [];
      });
    },
    close(_: number, callback: Callback) {
      // At once, so that a reader of the last byte finds it closed.
      file?.close();
      answer(callback, () => []);
    },
  };
}

/** `path` is what the stream shows; without it the file is open already. */
export function readStream(
  streamed: Streamed,
  path: string | Buffer | undefined,
  options: object,
): ReadStream {
  const more = { ...options, fs: functionsFor(streamed), ...(path === undefined ? { fd: NUMBER } : {}) };
  return createReadStream(path as string, more as never);
}

export function writeStream(
  streamed: Streamed,
  path: string | Buffer | undefined,
  options: object,
): WriteStream {
  const more = { ...options, fs: functionsFor(streamed), ...(path === undefined ? { fd: NUMBER } : {}) };
  return createWriteStream(path as string, more as never);
}

/** Bytes of a file from its position on, as streams of the web are. `ended` is called at their end. */
export function webStream(file: OpenFile, ended: () => void): ReadableStream {
  return new ReadableStream({
    type: 'bytes',
    autoAllocateChunkSize: 16384,
    pull(controller) {
      const request = controller.byobRequest!;
      const view = request.view!;
      const count = file.read(new Uint8Array(view.buffer, view.byteOffset, view.byteLength), null);
      if (count === 0) {
        controller.close();
        ended();
      }
      request.respond(count);
    },
    cancel: ended,
  });
}
