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
import { join, sep } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { toText } from '../base/bytes.js';
import { OverlayError } from '../base/errors.js';
import { compressionOf, decompressor, MAGIC_SIZE, peek } from './compression.js';
import { LARGEST_DOCUMENT } from './manifest.js';
import type { TarEntry } from './tar-format.js';
import { TarReader } from './tar-reader.js';

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

type Place = { offset: number; size: number } | { target: string };

const MOST_LINKS = 8;
/** An archive of images has a few files a layer. */
const MOST_FILES = 100_000;

class TarFile implements ImageArchive {
  readonly #places = new Map<string, Place>();

  constructor(
    readonly what: string,
    private readonly path: string,
  ) {}

  /** Reads the archive through for the places of its files. */
  async index(): Promise<this> {
    const reader = new TarReader(
      {
        entry: (entry) => this.#note(entry, reader.position),
        data: () => undefined,
        end: () => undefined,
      },
      this.what,
    );
    for await (const chunk of createReadStream(this.path, { highWaterMark: 1 << 20 }))
      reader.write(chunk as Buffer);
    reader.finish();
    return this;
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
    if (type === 'file' && segments === null) this.#places.set(key, { offset, size });
    else if (type === 'hard link') this.#places.set(key, { target: normalize(toText(target)) });
    else if (type === 'symlink')
      this.#places.set(key, { target: normalize(join(key, '..', toText(target))) });
  }

  #find(name: string): { offset: number; size: number } | undefined {
    let place = this.#places.get(normalize(name));
    for (let links = 0; place !== undefined && 'target' in place; links++) {
      if (links >= MOST_LINKS) return undefined;
      place = this.#places.get(place.target);
    }
    return place;
  }

  document(name: string): Buffer | undefined {
    const place = this.#find(name);
    if (place === undefined) return undefined;
    if (place.size > LARGEST_DOCUMENT) throw tooLarge(this.what, name);
    return readRange(this.path, place.offset, place.size);
  }

  stream(name: string): AsyncIterable<Uint8Array> | undefined {
    const place = this.#find(name);
    if (place === undefined) return undefined;
    if (place.size === 0) return createReadStream('/dev/null');
    const { offset: start, size } = place;
    return createReadStream(this.path, { start, end: start + size - 1, highWaterMark: 256 * 1024 });
  }
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

/** Opens what `load` is given: a path, or '-' for standard input. `scratch` is a directory for what must be kept meanwhile. */
export async function openArchive(path: string, scratch: string): Promise<ImageArchive> {
  const what = path === '-' ? 'standard input' : path;
  if (path === '-') return new TarFile(what, await keep(process.stdin, scratch)).index();
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
  return new TarFile(what, isPlain ? path : await keep(createReadStream(path), scratch)).index();
}

/** Writes a stream to a file, decompressed. */
async function keep(source: AsyncIterable<Uint8Array>, scratch: string): Promise<string> {
  const path = join(scratch, 'archive');
  const { start, whole } = await peek(source);
  const decompress = await decompressor(compressionOf(start));
  const out = createWriteStream(path, { fd: openSync(path, 'wx', 0o600) });
  if (decompress === null) await pipeline(whole, out);
  else await pipeline(whole, decompress, out);
  return path;
}
