// SPDX-License-Identifier: MIT
/**
 * Reads a tar archive that is pushed into it in chunks of any size, and calls its
 * sink for each entry and its data. Nothing is kept but the header at hand, so an
 * archive of any size takes the same memory.
 *
 * It is as lenient as the tools that people have (GNU tar, Go's archive/tar, Python's
 * tarfile): the archive ends at the first block of zeros, whatever comes after it, or
 * where no more entry begins, and what is no file of its own is passed over. Only
 * what would lose or invent content is refused.
 *
 * tar-stream is not used for layers: it decodes names and attributes as UTF-8
 * text, which breaks file capabilities and names that are not, and it knows no
 * sparse files.
 */
import type { ByteString } from '../../base/bytes.js';
import { OverlayError } from '../../base/errors.js';
import { composeEntry, numberOf } from './entry.js';
import {
  BLOCK,
  CONTINUATION,
  decodeHeader,
  isZero,
  NO_FILE,
  type RawHeader,
  readNumber,
  type Segment,
  type TarEntry,
} from './format.js';
import { decodePax, type PaxRecords } from './pax.js';
import { SparseMap } from './sparse-map.js';

export interface TarSink {
  entry(entry: TarEntry): void;
  /** Data of the last entry; valid during the call. Of a sparse file only the segments come. */
  data(chunk: Buffer): void;
  /** The last entry is complete. */
  end(): void;
}

/** The largest extended header or long name, in bytes: attributes of 64 KiB fit many times. */
const LARGEST_META = 1 << 20;
const LARGEST_SPARSE_MAP = 1 << 20;
/** All that stand before one entry. */
const MOST_META = 4 * LARGEST_META;

const META_FLAGS = new Set(['x', 'X', 'g', 'L', 'K']);

/** What the bytes that come next are. */
type State = 'header' | 'meta' | 'sparse header' | 'sparse map' | 'data' | 'padding' | 'skipped' | 'done';
const PASSING: ReadonlySet<State> = new Set(['data', 'padding', 'skipped']);

export class TarReader {
  #state: State = 'header';
  /** What is awaited of the state, in bytes; for those that pass what is left. */
  #wanted = BLOCK;
  #held: Buffer[] = [];
  #heldSize = 0;
  #padding = 0;
  #header!: RawHeader;
  /** Bytes of the headers before the entry that comes. */
  #metaSize = 0;
  #global: PaxRecords = new Map();
  #globalSize = 0;
  #pax: PaxRecords = new Map();
  #longName: ByteString | undefined;
  #longTarget: ByteString | undefined;
  #sparse: number[] = [];
  #map = new SparseMap();
  #position = 0;

  constructor(
    private readonly sink: TarSink,
    /** The archive's name, for messages. */
    private readonly what: string,
  ) {}

  /** Throws an OverlayError for what is no archive, and whatever the sink throws. */
  write(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length && this.#state !== 'done') {
      const taken = chunk.subarray(at, at + this.#wanted - this.#heldSize);
      at += taken.length;
      this.#position += taken.length;
      if (PASSING.has(this.#state)) this.#pass(taken);
      else this.#hold(taken);
    }
  }

  /** Bytes taken so far; when an entry begins, where its data begins. */
  get position(): number {
    return this.#position;
  }

  /** Whether the archive's end was met; what comes after it says nothing. */
  get isAtEnd(): boolean {
    return this.#state === 'done';
  }

  /** To be called when nothing more comes. Throws for an archive that was cut off. */
  finish(): void {
    // Some leave out the end, or the padding before it, or have no whole block of it.
    const isBetween =
      this.#state === 'header' && this.#held.every((part) => part.every((byte) => byte === 0));
    if (!isBetween && this.#state !== 'padding' && this.#state !== 'done') this.#fail('it is cut off');
  }

  #fail(reason: string, remedy = 'the archive is damaged or made by a faulty tool; get it again'): never {
    throw new OverlayError({
      operation: 'unpack',
      path: this.what,
      reason: `${reason} (at byte ${this.#position})`,
      remedy,
    });
  }

  #pass(taken: Buffer): void {
    if (this.#state === 'data') this.sink.data(taken);
    this.#wanted -= taken.length;
    if (this.#wanted > 0) return;
    const isEnd = this.#state === 'data';
    if (isEnd) this.sink.end();
    if (isEnd && this.#padding > 0) this.#expect('padding', this.#padding);
    else this.#expect('header', BLOCK);
  }

  /** Passes over what an entry has and nobody wants. */
  #skip(size: number): void {
    if (size > 0) this.#expect('skipped', padded(size));
    else this.#expect('header', BLOCK);
  }

  #expect(state: State, size: number): void {
    this.#state = state;
    this.#wanted = size;
  }

  /** Collects a block or a body that is needed whole. */
  #hold(taken: Buffer): void {
    const isWhole = this.#heldSize === 0 && taken.length === this.#wanted;
    if (!isWhole) {
      this.#held.push(Buffer.from(taken));
      this.#heldSize += taken.length;
      if (this.#heldSize < this.#wanted) return;
    }
    const whole = isWhole ? taken : Buffer.concat(this.#held);
    this.#held = [];
    this.#heldSize = 0;
    if (this.#state === 'header') this.#takeHeader(whole);
    else if (this.#state === 'meta') this.#takeMeta(whole);
    else if (this.#state === 'sparse header') this.#takeSparseHeader(whole);
    else this.#takeSparseMap(whole);
  }

  #takeHeader(block: Buffer): void {
    if (isZero(block)) {
      this.#expect('done', 0);
      return;
    }
    const header = decodeHeader(block);
    if (header === undefined) this.#fail('it is no tar archive, or a block of it is damaged');
    this.#header = header;
    if (!Number.isSafeInteger(header.size) || header.size < 0) this.#fail('an entry has no proper size');
    if (META_FLAGS.has(header.flag)) {
      if (header.size > LARGEST_META) this.#fail(`a header of ${header.size} bytes is too large`);
      this.#metaSize += padded(header.size);
      if (this.#metaSize > MOST_META) this.#fail('the headers of an entry are too large');
      if (header.size > 0) this.#expect('meta', padded(header.size));
      return;
    }
    if (header.flag === 'S') this.#takeSparseHeader(block);
    else this.#begin();
  }

  #takeMeta(body: Buffer): void {
    const bytes = body.subarray(0, this.#header.size);
    const { flag } = this.#header;
    if (flag === 'L') this.#longName = upToNul(bytes);
    else if (flag === 'K') this.#longTarget = upToNul(bytes);
    else {
      const records = decodePax(bytes);
      if (records === undefined) this.#fail('an extended header is malformed');
      if (flag === 'g') this.#takeGlobal(records);
      else for (const [key, value] of records) this.#pax.set(key, value);
    }
    this.#expect('header', BLOCK);
  }

  #takeGlobal(records: PaxRecords): void {
    for (const [key, value] of records) {
      const known = this.#global.get(key);
      this.#globalSize += value.length - (known === undefined ? -key.length : known.length);
      this.#global.set(key, value);
    }
    if (this.#globalSize > LARGEST_META) this.#fail('the headers for all entries are too large');
  }

  /** GNU's old format: 4 pairs in the header, 21 in each block that follows (GNU tar's manual, D.2). */
  #takeSparseHeader(block: Buffer): void {
    const isFirst = this.#state === 'header';
    const [at, pairs] = isFirst ? [386, 4] : [0, 21];
    for (let index = 0; index < pairs; index++) {
      const offset = at + index * 24;
      if (block[offset] === 0 && block[offset + 12] === 0) break;
      this.#sparse.push(readNumber(block, offset, 12), readNumber(block, offset + 12, 12));
    }
    if (isFirst) this.#pax.set('GNU.sparse.realsize', Buffer.from(String(readNumber(block, 483, 12))));
    if (this.#sparse.length > LARGEST_SPARSE_MAP / 12) this.#fail('a sparse file has too many pieces');
    if (block[isFirst ? 482 : 504] !== 0) this.#expect('sparse header', BLOCK);
    else this.#begin();
  }

  /** Format 1.0: the map stands before the data. */
  #takeSparseMap(block: Buffer): void {
    const numbers = this.#map.take(block);
    const isLast = this.#map.size >= Math.min(LARGEST_SPARSE_MAP, this.#header.size);
    if (numbers === null || (numbers === undefined && isLast))
      this.#fail('the map of a sparse file is malformed');
    if (numbers === undefined) return;
    this.#sparse = numbers;
    this.#open(this.#header.size - this.#map.size);
  }

  #begin(): void {
    this.#header.size = numberOf(this.#pax.has('size') ? this.#pax : this.#global, 'size', this.#header.size);
    if (!Number.isSafeInteger(this.#header.size) || this.#header.size < 0)
      this.#fail('an entry has no proper size');
    if (this.#header.flag === CONTINUATION) {
      this.#fail(
        'it begins in the middle of a file',
        'it is a later one of several volumes; unpack all of them together by `tar -M`',
      );
    }
    if (NO_FILE.has(this.#header.flag)) {
      this.#forget();
      this.#skip(this.#header.size);
    } else if (this.#pax.get('GNU.sparse.major')?.toString() === '1') {
      this.#map = new SparseMap();
      this.#expect('sparse map', BLOCK);
    } else this.#open(this.#header.size);
  }

  /** What was said of one entry does not count for the next. */
  #forget(): void {
    this.#metaSize = 0;
    this.#pax = new Map();
    this.#longName = undefined;
    this.#longTarget = undefined;
    this.#sparse = [];
  }

  /** `stored` bytes of data follow. */
  #open(stored: number): void {
    const entry = composeEntry(this.#header, {
      pax: new Map([...this.#global, ...this.#pax]),
      name: this.#longName,
      target: this.#longTarget,
      sparse: this.#sparse,
    });
    if (typeof entry === 'string') this.#fail(entry);
    if (entry.segments !== null && total(entry.segments) !== stored) {
      this.#fail('the map of a sparse file does not fit its data');
    }
    this.#forget();
    this.sink.entry(entry);
    this.#padding = padded(stored) - stored;
    if (entry.type === 'file' && stored > 0) {
      this.#expect('data', stored);
      return;
    }
    this.sink.end();
    // Links and directories may claim a size, but have no data (pax(1), "size"); but for GNU's lists of names.
    this.#skip(this.#header.flag === 'D' ? stored : 0);
  }
}

function padded(size: number): number {
  return Math.ceil(size / BLOCK) * BLOCK;
}

function upToNul(bytes: Buffer): ByteString {
  const end = bytes.indexOf(0);
  return bytes.latin1Slice(0, end < 0 ? bytes.length : end);
}

function total(segments: readonly Segment[]): number {
  return segments.reduce((sum, { size }) => sum + size, 0);
}
