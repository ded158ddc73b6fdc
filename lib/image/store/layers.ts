// SPDX-License-Identifier: MIT
/**
 * Layers, from a stream of bytes to a blob and an unpacked directory, in one pass:
 * the bytes are digested, written to the blob, decompressed, digested again, and
 * unpacked as they come. Neither becomes visible before both digests are right.
 */
import { createWriteStream, openSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Transform, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { fromText } from '../../base/bytes.js';
import { check, OverlayError } from '../../base/errors.js';
import { Marks } from '../../overlay/formats/marks.js';
import { Fd, O_DIRECTORY, O_RDONLY, openPath } from '../../sys/files.js';
import { hasTrustedAttributes } from '../../sys/privilege.js';
import { type Digest, Hasher, hexOf } from '../model/digest.js';
import { ByteBound } from '../tar/bound.js';
import { compressionOf, DAMAGED, decompressor, explain, gzipCompressor, peek } from '../tar/compression.js';
import { TarReader } from '../tar/reader.js';
import { adoptAttributes } from '../unpack/implied-directories.js';
import {
  archiveLimit,
  DEFAULT_LIMITS,
  LayerUnpacker,
  type Unpacked,
  type UnpackLimits,
} from '../unpack/unpack.js';
import { StoreLock } from './lock.js';
import { makeShownDirectory, Staging, storeFailure, syncBelow, syncDirectoryOf } from './staging.js';
import type { Store } from './store.js';
import { together } from './together.js';

/** What layer.json says. */
export interface LayerRecord extends Unpacked {
  diffId: Digest;
  /** Marks are in `user.overlay.*`: unpacked by an ordinary user. */
  userxattr: boolean;
}

/** What is known of a layer before it is there; what is given is verified. */
export interface ExpectedLayer {
  /** Of the bytes as they come. */
  digest?: Digest | undefined;
  size?: number | undefined;
  /** Of the bytes decompressed. */
  diffId?: Digest | undefined;
  limits?: UnpackLimits | undefined;
  /** The directories of the layers below, top first, once they are there; see unpack/implied-directories.ts. */
  below?: (() => Promise<readonly string[]>) | undefined;
  /** The bytes come plain and are to be kept compressed; `digest` and `size` are not known then. */
  compress?: boolean | undefined;
  /** Called with the number of bytes of each chunk that came. */
  onProgress?: ((bytes: number) => void) | undefined;
}

export interface StoredLayer {
  digest: Digest;
  diffId: Digest;
  /** Bytes as they came. */
  size: number;
  /** Bytes decompressed: what the tar archive has. */
  archiveSize: number;
}

/** Lets bytes pass and digests them. */
class DigestingPassage extends Transform {
  readonly hasher = new Hasher();

  constructor(
    private readonly what: string,
    private readonly limit: number,
    private readonly onProgress: (bytes: number) => void,
  ) {
    super();
  }

  override _transform(
    chunk: Buffer,
    _encoding: string,
    done: (error: Error | null, chunk?: Buffer) => void,
  ): void {
    this.hasher.update(chunk);
    this.onProgress(chunk.length);
    if (this.hasher.size <= this.limit) done(null, chunk);
    else done(damaged(this.what, `it is longer than the ${this.limit} bytes that were announced`));
  }
}

function damaged(what: string, reason: string): OverlayError {
  return new OverlayError({
    operation: 'verify',
    path: what,
    reason,
    remedy: DAMAGED,
  });
}

/** Where the decompressed bytes end: digested, and unpacked entry by entry. */
class UnpackingEnd extends Writable {
  readonly hasher = new Hasher();

  constructor(
    private readonly reader: TarReader,
    private readonly unpacker: LayerUnpacker,
    private readonly bound: ByteBound,
  ) {
    super();
  }

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    try {
      this.bound.pass(chunk.length);
      this.hasher.update(chunk);
      this.reader.write(chunk);
    } catch (failure) {
      done(failure as Error);
      return;
    }
    done();
  }

  override _final(done: (error?: Error | null) => void): void {
    try {
      this.reader.finish();
    } catch (failure) {
      done(failure as Error);
      return;
    }
    done();
  }

  unpacked(): Unpacked {
    return this.unpacker.finish();
  }
}

/**
 * Stores a layer that comes as a stream. Throws an OverlayError when its bytes are
 * not what was expected, when it is no layer, or when the store cannot take it;
 * nothing of it is visible then. The caller holds the `collection` lock.
 */
export async function storeLayer(
  store: Store,
  source: AsyncIterable<Uint8Array>,
  what: string,
  expected: ExpectedLayer = {},
): Promise<StoredLayer> {
  using staging = Staging.make(store);
  const userxattr = !hasTrustedAttributes();
  const diff = join(staging.path, 'layer', 'diff');
  makeShownDirectory(diff);
  using root = new Fd(
    check(openPath(fromText(diff), O_RDONLY | O_DIRECTORY), { operation: 'open', path: diff }),
  );
  const marks = new Marks(userxattr);
  const { limits = DEFAULT_LIMITS } = expected;
  const unpacker = new LayerUnpacker(root.number, what, marks, limits);
  try {
    const { start, whole } = await peek(source);
    const arrived = new DigestingPassage(
      what,
      expected.size ?? Number.MAX_SAFE_INTEGER,
      expected.onProgress ?? (() => undefined),
    );
    const bound = new ByteBound(archiveLimit(limits), what);
    const end = new UnpackingEnd(new TarReader(unpacker, what), unpacker, bound);
    const blob = join(staging.path, 'blob');
    const compression = expected.compress === true ? 'gzip' : compressionOf(start);
    // Made at once: a stream makes its file later, by when a failure may be taking staging away.
    const copy = createWriteStream(blob, { fd: openSync(blob, 'wx', 0o600) });
    const decompress = expected.compress === true ? null : await decompressor(compression, what);
    await together((signal) =>
      expected.compress === true
        ? [pipeline(whole, gzipCompressor(), arrived, copy, { signal }), pipeline(whole, end, { signal })]
        : [
            pipeline(whole, arrived, copy, { signal }),
            decompress === null
              ? pipeline(arrived, end, { signal })
              : pipeline(arrived, decompress, end, { signal }),
          ],
    ).catch((failure) => {
      throw streamFailure(what, failure);
    });
    const digest = arrived.hasher.digest();
    const diffId = end.hasher.digest();
    verify(what, 'digest', digest, expected.digest);
    verify(what, 'diff ID', diffId, expected.diffId);
    const record: LayerRecord = { diffId, userxattr, ...end.unpacked() };
    const { implied } = unpacker;
    unpacker.close();
    if (implied.length > 0) adoptAttributes(root.number, implied, (await expected.below?.()) ?? []);
    commit(store, staging, digest, record);
    return { digest, diffId, size: arrived.hasher.size, archiveSize: end.hasher.size };
  } finally {
    unpacker.close();
  }
}

/** A failure of a pipeline in words. */
function streamFailure(what: string, cause: unknown): unknown {
  const failure = explain(cause, what);
  return failure instanceof OverlayError ? failure : storeFailure('store', what, cause);
}

function verify(what: string, kind: string, found: Digest, expected: Digest | undefined): void {
  if (expected === undefined || found === expected) return;
  throw damaged(what, `its ${kind} is ${found}, ${expected} was announced`);
}

/** Gives both their names. The unpacked layer goes first: a blob without it is fetched again for nothing. */
function commit(store: Store, staging: Staging, digest: Digest, record: LayerRecord): void {
  writeFileSync(join(staging.path, 'layer', 'layer.json'), JSON.stringify(record), { mode: 0o600 });
  syncBelow(staging.path);
  if (!store.hasLayer(record.diffId)) renameSync(join(staging.path, 'layer'), store.layerPath(record.diffId));
  renameSync(join(staging.path, 'blob'), store.blobPath(digest));
  syncDirectoryOf(store.layerPath(record.diffId));
  syncDirectoryOf(store.blobPath(digest));
}

/** Waits for others that unpack the same layer. */
export function lockLayer(store: Store, digest: Digest, signal?: AbortSignal): Promise<StoreLock> {
  return StoreLock.take(store.root, hexOf(digest), false, signal);
}

/** What is known of an unpacked layer; undefined where it is not there whole. */
export function readLayer(store: Store, diffId: Digest): LayerRecord | undefined {
  try {
    return JSON.parse(readFileSync(join(store.layerPath(diffId), 'layer.json'), 'utf8')) as LayerRecord;
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new OverlayError({
      operation: 'read the layer',
      path: store.layerPath(diffId),
      reason: 'layer.json is damaged',
      remedy: 'run `tsoverlay system check --repair`',
      cause,
    });
  }
}

/** The diff IDs of all layers that are there. */
export function listLayers(store: Store): Digest[] {
  return readdirSync(join(store.root, 'layers'))
    .filter((name) => /^[0-9a-f]{64}$/.test(name))
    .map((name) => `sha256:${name}` as Digest);
}

/** The directories of the layers below the one at `index`, top first; `diffIds` are bottom first. */
export function pathsBelow(store: Store, diffIds: readonly Digest[], index: number): string[] {
  return diffIds
    .slice(0, index)
    .map((diffId) => store.diffPath(diffId))
    .reverse();
}
