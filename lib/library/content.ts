// SPDX-License-Identifier: MIT
/**
 * Whole contents, read and written through an open file in pieces. Between two pieces others have
 * their turn, so that an AbortSignal is heard, as in node:fs.
 */
import { invalidType, readBoolean, readEncoding } from './arguments.js';
import { codedError } from './errors.js';
import type { OpenFile } from './open-file.js';

/** Of what is read or written without a break. */
const PIECE = 512 * 1024;

export interface ContentOptions {
  encoding: unknown;
  flag: unknown;
  mode: unknown;
  flush: unknown;
  signal: AbortSignal;
}

export function checkAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted !== true) return;
  const error = new Error('The operation was aborted', { cause: signal.reason });
  error.name = 'AbortError';
  throw codedError(error, 'ABORT_ERR');
}

/** What follows the position of the file. */
export async function readAll(
  file: OpenFile,
  { encoding, signal }: Partial<ContentOptions>,
): Promise<string | Buffer> {
  const pieces: Buffer[] = [];
  for (let ended = false; !ended; ) {
    checkAborted(signal);
    const left = Math.max(1, (file.stat(false).size as number) - pieces.length * PIECE);
    const piece = Buffer.allocUnsafe(Math.min(PIECE, left));
    const count = file.read(piece, null);
    pieces.push(piece.subarray(0, count));
    ended = count < piece.length || count === 0;
    await turn(signal);
  }
  checkAborted(signal);
  const content = Buffer.concat(pieces);
  // Also `buffer`, which Node's own refuses here, too.
  return encoding ? content.toString(encoding as BufferEncoding) : content;
}

/** Where somebody may abort, everybody else's callbacks come first; else the promises that are settled do. */
async function turn(signal: AbortSignal | undefined): Promise<void> {
  if (signal !== undefined) await new Promise((resume) => setImmediate(resume));
}

export type Content = string | ArrayBufferView | Iterable<unknown> | AsyncIterable<unknown>;

/** Throws a TypeError for what cannot be written; before anything is opened. */
export function checkContent(data: unknown): asserts data is Content {
  if (typeof data === 'string' || ArrayBuffer.isView(data) || isSequence(data)) return;
  throw invalidType('data', 'of type string or an instance of Buffer, TypedArray, or DataView', data);
}

function isSequence(data: unknown): data is Iterable<unknown> | AsyncIterable<unknown> {
  return (
    typeof data === 'object' && data !== null && (Symbol.asyncIterator in data || Symbol.iterator in data)
  );
}

/** Writes where the position of the file is. */
export async function writeAll(
  file: OpenFile,
  data: Content,
  { encoding, signal, flush }: Partial<ContentOptions>,
): Promise<void> {
  const isWhole = typeof data === 'string' || ArrayBuffer.isView(data);
  const syncs = readBoolean(flush, 'flush');
  checkAborted(signal);
  await turn(signal);
  for await (const part of isWhole ? [data] : data) {
    checkContent(part);
    const bytes = bytesOf(part as string | ArrayBufferView, encoding);
    for (let at = 0; at < bytes.length; at += PIECE) {
      checkAborted(signal);
      file.writeAll(bytes.subarray(at, at + PIECE), null);
      await turn(signal);
    }
  }
  checkAborted(signal);
  if (syncs) file.sync('fsync', false);
}

export function bytesOf(data: string | ArrayBufferView, encoding?: unknown): Buffer {
  if (typeof data === 'string') return Buffer.from(data, readEncoding(encoding, true) ?? 'utf8');
  return Buffer.from(data.buffer, data.byteOffset, data.byteLength);
}
