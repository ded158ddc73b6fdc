// SPDX-License-Identifier: MIT
/** How a layer is compressed, told by its first bytes: what a media type claims is often wrong. */
import { availableParallelism } from 'node:os';
import { Readable, Transform, type TransformCallback } from 'node:stream';
import * as zlib from 'node:zlib';

export type Compression = 'none' | 'gzip' | 'zstd';

/** RFC 1952, 2.3.1; RFC 8878, 3.1.1 and 3.1.2 (a skippable frame may come first). */
export function compressionOf(start: Uint8Array): Compression {
  if (start[0] === 0x1f && start[1] === 0x8b) return 'gzip';
  const isFrame = start[0] === 0x28 && start[1] === 0xb5 && start[2] === 0x2f && start[3] === 0xfd;
  const isSkippable =
    (start[0] & 0xf0) === 0x50 && start[1] === 0x2a && start[2] === 0x4d && start[3] === 0x18;
  return isFrame || isSkippable ? 'zstd' : 'none';
}

/** The bytes that compressionOf needs. */
export const MAGIC_SIZE = 4;

const CHUNK = 256 * 1024;

/** Makes what takes a layer's bytes and gives them decompressed. */
export async function decompressor(compression: Compression): Promise<Transform | null> {
  switch (compression) {
    case 'none':
      return null;
    case 'gzip':
      return zlib.createGunzip({ chunkSize: CHUNK });
    case 'zstd':
      return zstdDecompressor();
  }
}

/** Node's own from 22.15 on; before it a JavaScript one, slower but the same. */
async function zstdDecompressor(): Promise<Transform> {
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
      done(failure as Error);
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
export async function peek(source: AsyncIterable<Uint8Array>): Promise<{ start: Buffer; whole: Readable }> {
  const iterator = source[Symbol.asyncIterator]();
  const first: Buffer[] = [];
  let size = 0;
  while (size < MAGIC_SIZE) {
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
    start: Buffer.concat(first).subarray(0, MAGIC_SIZE),
    whole: Readable.from(rest(), { objectMode: false }),
  };
}
