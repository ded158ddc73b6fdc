// SPDX-License-Identifier: MIT
/**
 * Archives of images on disk, for reading a file of one by name: a tar archive, in
 * which each name's place is found in one pass, or a directory that has the same
 * layout. What comes by a pipe, or compressed, is first kept in the store's staging.
 */
import {
  closeSync,
  createReadStream,
  createWriteStream,
  openSync,
  readFileSync,
  readSync,
  realpathSync,
  statSync,
} from 'node:fs';
import { dirname, join, sep } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { toText } from '../../base/bytes.js';
import { OverlayError } from '../../base/errors.js';
import { LARGEST_DOCUMENT } from '../model/manifest.js';
import { ByteBound } from '../tar/bound.js';
import { compressionOf, MAGIC_SIZE, unwrapped } from '../tar/compression.js';
import type { Segment, TarEntry } from '../tar/format.js';
import { TarReader } from '../tar/reader.js';

export interface ImageArchive {
  /** As the user named it. */
  readonly what: string;
  /** A small file, whole; undefined where there is none. */
  document(name: string): Buffer | undefined;
  /** A file's bytes; undefined where there is none. */
  stream(name: string): AsyncIterable<Uint8Array> | undefined;
}

function tooLarge(what: string, name: string): OverlayError {
  return new OverlayError({
    operation: 'read',
    path: what,
    reason: `${name} is larger than ${LARGEST_DOCUMENT} bytes`,
  });
}

class LayoutDirectory implements ImageArchive {
  constructor(
    readonly what: string,
    private readonly root: string,
  ) {}

  /** The real path of a name, if that is in the directory. */
  #find(name: string): string | undefined {
    try {
      const path = realpathSync(join(this.root, name));
      return path.startsWith(this.root + sep) && statSync(path).isFile() ? path : undefined;
    } catch (failure) {
      if (['ENOENT', 'ENOTDIR', 'ELOOP'].includes((failure as NodeJS.ErrnoException).code ?? ''))
        return undefined;
      throw failure;
    }
  }

  document(name: string): Buffer | undefined {
    const path = this.#find(name);
    if (path === undefined) return undefined;
    if (statSync(path).size > LARGEST_DOCUMENT) throw tooLarge(this.what, name);
    return readFileSync(path);
  }

  stream(name: string): AsyncIterable<Uint8Array> | undefined {
    const path = this.#find(name);
    return path === undefined ? undefined : createReadStream(path, { highWaterMark: 256 * 1024 });
  }
}

interface FilePlace {
  /** Of its data in the archive. */
  offset: number;
  /** Bytes of the file, holes included. */
  size: number;
  /** Where the data goes, in order; what is between is zeros. */
  segments: readonly Segment[];
}

type Place = FilePlace | { target: string };

const MOST_LINKS = 8;
/** An archive of images has a few files a layer. */
const MOST_FILES = 100_000;

class TarFile implements ImageArchive {
  readonly #places = new Map<string, Place>();

  constructor(
    readonly what: string,
    private readonly path: string,
  ) {}

  /** Notes the places of the files in an archive that is read through; what comes after its end is left out. */
  async *index(archive: AsyncIterable<Buffer>, bound: ByteBound): AsyncGenerator<Buffer> {
    const reader = new TarReader(
      {
        entry: (entry) => this.#note(entry, reader.position),
        data: () => undefined,
        end: () => undefined,
      },
      this.what,
    );
    for await (const chunk of archive) {
      bound.pass(chunk.length);
      if (reader.isAtEnd) continue;
      reader.write(chunk);
      yield chunk;
    }
    reader.finish();
  }

  #note({ name, type, size, target, segments }: TarEntry, offset: number): void {
    if (this.#places.size >= MOST_FILES) {
      throw new OverlayError({
        operation: 'read',
        path: this.what,
        reason: `it has more than ${MOST_FILES} files`,
      });
    }
    const key = normalize(toText(name));
    const beside = toText(target);
    if (type === 'file') this.#places.set(key, { offset, size, segments: segments ?? [{ offset: 0, size }] });
    else if (type === 'hard link') this.#places.set(key, { target: normalize(beside) });
    else if (type === 'symlink') {
      // An absolute one begins at the archive's root.
      this.#places.set(key, { target: beside.startsWith('/') ? normalize(beside) : join(key, '..', beside) });
    }
  }

  #find(name: string): FilePlace | undefined {
    let path = normalize(name);
    for (let links = 0; links <= MOST_LINKS; links++) {
      const place = this.#places.get(path);
      if (place !== undefined && 'size' in place) return place;
      const next = place?.target ?? this.#throughDirectory(path);
      if (next === undefined) return undefined;
      path = next;
    }
    return undefined;
  }

  /** The path after the link that the lowest of its directories is; undefined where none is one. */
  #throughDirectory(path: string): string | undefined {
    for (let directory = dirname(path); directory !== '/'; directory = dirname(directory)) {
      const place = this.#places.get(directory);
      if (place !== undefined && 'target' in place) return join(place.target, path.slice(directory.length));
    }
    return undefined;
  }

  document(name: string): Buffer | undefined {
    const place = this.#find(name);
    if (place === undefined) return undefined;
    if (place.size > LARGEST_DOCUMENT) throw tooLarge(this.what, name);
    const whole = Buffer.alloc(place.size);
    let at = place.offset;
    for (const { offset, size } of place.segments) {
      readRange(this.path, at, size).copy(whole, offset);
      at += size;
    }
    return whole;
  }

  stream(name: string): AsyncIterable<Uint8Array> | undefined {
    const place = this.#find(name);
    return place === undefined ? undefined : this.#content(place);
  }

  async *#content({ offset: begin, size: whole, segments }: FilePlace): AsyncGenerator<Uint8Array> {
    let start = begin;
    let written = 0;
    for (const { offset, size } of segments) {
      yield* zeros(offset - written);
      if (size > 0)
        yield* createReadStream(this.path, { start, end: start + size - 1, highWaterMark: 256 * 1024 });
      start += size;
      written = offset + size;
    }
    yield* zeros(whole - written);
  }
}

const ZEROS = Buffer.alloc(64 * 1024);

function* zeros(count: number): Generator<Uint8Array> {
  for (let left = count; left > 0; left -= ZEROS.length)
    yield ZEROS.subarray(0, Math.min(left, ZEROS.length));
}

function normalize(name: string): string {
  return join('/', name);
}

function readRange(path: string, offset: number, size: number): Buffer {
  const fd = openSync(path, 'r');
  try {
    const buffer = Buffer.alloc(size);
    for (let done = 0; done < size; ) {
      const count = readSync(fd, buffer, done, size - done, offset + done);
      if (count === 0) break;
      done += count;
    }
    return buffer;
  } finally {
    closeSync(fd);
  }
}

/**
 * Opens what `load` is given: a path, or '-' for standard input. `scratch` is a directory for what must be kept
 * meanwhile, of which there may be `limit` bytes.
 */
export async function openArchive(path: string, scratch: string, limit: number): Promise<ImageArchive> {
  const what = path === '-' ? 'standard input' : path;
  if (path === '-') return keep(process.stdin, what, scratch, limit);
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) {
    throw new OverlayError({
      operation: 'read',
      path,
      reason: 'there is no such file',
      remedy: 'give an archive, a directory, or - for standard input',
    });
  }
  if (stat.isDirectory()) return new LayoutDirectory(what, realpathSync(path));
  const isPlain =
    stat.isFile() && compressionOf(readRange(path, 0, Math.min(MAGIC_SIZE, stat.size))) === 'none';
  if (!isPlain) return keep(createReadStream(path), what, scratch, limit);
  const archive = new TarFile(what, path);
  const chunks = createReadStream(path, { highWaterMark: 1 << 20 });
  const all = new ByteBound(Number.MAX_SAFE_INTEGER, what);
  for await (const _ of archive.index(chunks, all));
  return archive;
}

/** Writes a stream to a file, decompressed. */
async function keep(
  source: AsyncIterable<Uint8Array>,
  what: string,
  scratch: string,
  limit: number,
): Promise<ImageArchive> {
  const path = join(scratch, 'archive');
  const archive = new TarFile(what, path);
  const plain = await unwrapped(source, what, limit);
  await pipeline(
    plain,
    (chunks) => archive.index(chunks, new ByteBound(limit, what)),
    createWriteStream(path, { fd: openSync(path, 'wx', 0o600) }),
  );
  return archive;
}
