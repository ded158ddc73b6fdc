// SPDX-License-Identifier: MIT
/** How a layer or an archive is compressed, told by its first bytes: what a media type or a name claims is often wrong. */
import { availableParallelism } from 'node:os';
import { Readable, Transform, type TransformCallback } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import * as zlib from 'node:zlib';
import { OverlayError } from '../../base/errors.js';
import { ByteBound } from './bound.js';
import { ToolDecompressor } from './tool-decompressor.js';

/** As layers have it (image-spec layer.md, "+gzip Media Types", "+zstd Media Types"). */
export type LayerCompression = 'none' | 'gzip' | 'zstd';
export type Compression = LayerCompression | 'xz' | 'bzip2';

/** In hexadecimal. bzip2's is followed by that of a block, or of the end where it holds nothing. */
const MAGIC: readonly (readonly [RegExp, Compression])[] = [
  // RFC 1952, 2.3.1.
  [/^1f8b/, 'gzip'],
  // RFC 8878, 3.1.1 and 3.1.2: a skippable frame may come first.
  [/^(28b52ffd|5.2a4d18)/, 'zstd'],
  // The .xz File Format, 2.1.1.1.
  [/^fd377a585a00/, 'xz'],
  [/^425a683[1-9](314159265359|177245385090)/, 'bzip2'],
];

/** The bytes that compressionOf needs. */
export const MAGIC_SIZE = 10;

export function compressionOf(start: Uint8Array): Compression {
  const hex = Buffer.from(start.subarray(0, MAGIC_SIZE)).toString('hex');
  return MAGIC.find(([magic]) => magic.test(hex))?.[1] ?? 'none';
}

function isLayerCompression(compression: Compression): compression is LayerCompression {
  return compression !== 'xz' && compression !== 'bzip2';
}

const CHUNK = 256 * 1024;

/** Makes what takes compressed bytes and gives them decompressed; `what` is for messages. */
export async function decompressor(compression: Compression, what: string): Promise<Transform | null> {
  switch (compression) {
    case 'none':
      return null;
    case 'gzip':
      return zlib.createGunzip({ chunkSize: CHUNK });
    case 'zstd':
      return zstdDecompressor(what);
    default:
      return new ToolDecompressor(compression, what);
  }
}

/** Decompressed, to at most `limit` bytes; the source ends when what is answered is ended. */
export async function decompressed(
  source: Readable,
  compression: Compression,
  what: string,
  limit: number,
): Promise<Readable> {
  const stream = await decompressor(compression, what);
  if (stream === null) return source;
  // A failure of either is the reader's to see.
  pipeline(source, stream).catch((failure) => stream.destroy(failure as Error));
  return Readable.from(explained(stream, what, new ByteBound(limit, what)), { objectMode: false });
}

async function* explained(
  stream: AsyncIterable<Uint8Array>,
  what: string,
  bound: ByteBound,
): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of stream) {
      bound.pass(chunk.length);
      yield chunk;
    }
  } catch (failure) {
    throw explain(failure, what);
  }
}

/** In words what a decompressor met; any other failure as it is. */
export function explain(failure: unknown, what: string): unknown {
  const { code, message } = failure as NodeJS.ErrnoException;
  // Node's names for zlib's errors and for those of its own zstd.
  if (!/^Z(_|STD_)/.test(String(code))) return failure;
  return new OverlayError({
    operation: 'verify',
    path: what,
    reason: `it cannot be decompressed (${message})`,
    remedy: DAMAGED,
    cause: failure,
  });
}

/** What helps where bytes are not what they must be. */
export const DAMAGED = 'it was damaged on the way or at its source; try again, or get it elsewhere';

/** More often nobody compresses; a file that is its own content would never end. */
const MOST_TIMES = 8;

/** The bytes within, however often they are compressed; none of its layers may have more than `limit`. */
export async function unwrapped(
  source: AsyncIterable<Uint8Array>,
  what: string,
  limit: number,
): Promise<Readable> {
  let bytes = source;
  for (let times = 0; times <= MOST_TIMES; times++) {
    const { start, whole } = await peek(bytes);
    const compression = compressionOf(start);
    if (compression === 'none') return whole;
    bytes = await decompressed(whole, compression, what, limit);
  }
  throw new OverlayError({
    operation: 'decompress',
    path: what,
    reason: `it is compressed more than ${MOST_TIMES} times`,
  });
}

/** Within that many bytes each format has begun to say what it holds: blocks of zstd have at most 128 KiB. */
const ENOUGH = 256 * 1024;

export interface LayerSource {
  source: Readable;
  /** It comes plain, and is to be compressed by gzip. */
  compress: boolean;
  /** Of the layer as it will be kept. */
  compression: LayerCompression;
}

/** An archive as a layer may be kept: as it is, or what is compressed otherwise or twice plain, to be compressed anew. */
export async function asLayer(
  source: AsyncIterable<Uint8Array>,
  what: string,
  limit: number,
): Promise<LayerSource> {
  const { start, whole } = await peek(source, ENOUGH);
  const compression = compressionOf(start);
  const isLayer =
    isLayerCompression(compression) &&
    (compression === 'none' || compressionOf(await startWithin(start, compression)) === 'none');
  if (isLayer) return { source: whole, compress: false, compression };
  return { source: await unwrapped(whole, what, limit), compress: true, compression: 'gzip' };
}

/** The first bytes of what a stream holds, of its own first bytes; none where they are damaged. */
async function startWithin(start: Buffer, compression: 'gzip' | 'zstd'): Promise<Buffer> {
  const stream = (await decompressor(compression, ''))!;
  const found: Buffer[] = [];
  await new Promise<void>((resolve) => {
    stream.on('error', () => resolve());
    stream.on('data', (chunk: Buffer) => {
      found.push(chunk);
      resolve();
    });
    stream.write(start, () => resolve());
  });
  stream.destroy();
  return Buffer.concat(found);
}

/** Node's own from 22.15 on; before it a JavaScript one, slower but the same. */
async function zstdDecompressor(what: string): Promise<Transform> {
  const native = (zlib as { createZstdDecompress?: (options: object) => Transform }).createZstdDecompress;
  if (native !== undefined) return native({ chunkSize: CHUNK });
  const { Decompress } = await import('fzstd');
  const out: Buffer[] = [];
  const stream = new Decompress((chunk) =>
    out.push(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length)),
  );
  let isWhole = true;
  const give = (target: Transform, done: TransformCallback, work: () => void): void => {
    try {
      work();
    } catch (failure) {
      // Its codes are numbers of its own.
      const { message } = failure as Error;
      done(explain(Object.assign(new Error(message), { code: 'ZSTD_error' }), what) as Error);
      return;
    }
    for (const chunk of out.splice(0)) target.push(chunk);
    done();
  };
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      isWhole = false;
      give(this, done, () => stream.push(chunk));
    },
    flush(done) {
      give(this, done, () => isWhole || stream.push(new Uint8Array(0), true));
    },
  });
}

/** Bytes that are compressed at once; with larger blocks threads wait longer for the last one. */
const BLOCK = 1 << 20;

/**
 * Compresses block by block, several at once, each a member of the file of its own
 * (RFC 1952, 2.2), so that the result is the same however the bytes come. Compressing
 * is what a commit waits for: one thread manages some 60 MB a second.
 */
class BlockCompressor extends Transform {
  #held: Buffer[] = [];
  #size = 0;
  /** In order. */
  readonly #running: Promise<Buffer>[] = [];
  #wrote = false;

  override _transform(chunk: Buffer, _encoding: string, done: TransformCallback): void {
    this.#take(chunk).then(() => done(), done);
  }

  override _flush(done: TransformCallback): void {
    this.#finish().then(() => done(), done);
  }

  async #take(chunk: Buffer): Promise<void> {
    for (let at = 0; at < chunk.length; ) {
      const end = Math.min(chunk.length, at + BLOCK - this.#size);
      this.#held.push(chunk.subarray(at, end));
      this.#size += end - at;
      at = end;
      if (this.#size === BLOCK) this.#start();
      while (this.#running.length > availableParallelism()) await this.#give();
    }
  }

  #start(): void {
    const compressing = gzip(Buffer.concat(this.#held));
    // A failure is met when its turn comes.
    compressing.catch(() => undefined);
    this.#running.push(compressing);
    this.#held = [];
    this.#size = 0;
  }

  async #give(): Promise<void> {
    this.push(await this.#running.shift()!);
    this.#wrote = true;
  }

  async #finish(): Promise<void> {
    if (this.#size > 0 || (!this.#wrote && this.#running.length === 0)) this.#start();
    while (this.#running.length > 0) await this.#give();
  }
}

function gzip(block: Buffer): Promise<Buffer> {
  // The fastest level takes two thirds of the time and 7 per cent more space for /usr/share. Node leaves the time out
  // of the header, so that the same bytes give the same bytes.
  const options = { chunkSize: CHUNK, level: zlib.constants.Z_BEST_SPEED };
  return new Promise((resolve, reject) =>
    zlib.gzip(block, options, (failure, bytes) => (failure === null ? resolve(bytes) : reject(failure))),
  );
}

export function gzipCompressor(): Transform {
  return new BlockCompressor();
}

/** Splits a stream's first bytes off, to see what it is, and puts them back. */
export async function peek(
  source: AsyncIterable<Uint8Array>,
  count = MAGIC_SIZE,
): Promise<{ start: Buffer; whole: Readable }> {
  const iterator = source[Symbol.asyncIterator]();
  const first: Buffer[] = [];
  let size = 0;
  while (size < count) {
    const next = await iterator.next();
    if (next.done === true) break;
    first.push(Buffer.from(next.value.buffer, next.value.byteOffset, next.value.length));
    size += next.value.length;
  }
  async function* rest(): AsyncGenerator<Uint8Array> {
    try {
      yield* first;
      yield* { [Symbol.asyncIterator]: () => iterator };
    } finally {
      await iterator.return?.();
    }
  }
  return {
    start: Buffer.concat(first).subarray(0, count),
    whole: Readable.from(rest(), { objectMode: false }),
  };
}
