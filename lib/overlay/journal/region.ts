// SPDX-License-Identifier: MIT
/**
 * One of the two regions of shared memory that a journal is written to in turn (journal.ts),
 * mapped as far as it is used.
 */
import { overlayDebug } from '../../base/debug.js';
import { errnoName } from '../../base/errno.js';
import { OverlayError } from '../../base/errors.js';
import { forgetShared, mapShared, type SharedWindow } from '../../sys/shared-memory.js';
import { RecordReader, RecordWriter } from './records.js';

export const PAGE = 4096;
const WORDS_IN_PAGE = PAGE / 4;
/** Bytes between the two regions, and room for each. */
const REGION = 2 ** 40;
const SMALLEST_PAGES = 256;

/** In the header: where it is said how many pages each has. */
const PAGES = 3;

/** Bytes of shared memory that a journal may use from its offset on; most of them are never touched. */
export const JOURNAL_SPACE = 2 * REGION + PAGE;

export class Region {
  #window: SharedWindow;
  readonly writer: RecordWriter;

  constructor(
    private readonly fd: number,
    private readonly offset: number,
    private readonly header: Int32Array,
    readonly index: number,
  ) {
    if (header[PAGES + index] === 0) header[PAGES + index] = SMALLEST_PAGES;
    this.#window = this.#map();
    const { bytes } = this.#window;
    this.writer = new RecordWriter(wordsOf(bytes), bytes, (needed) => this.#grow(needed));
  }

  /** The region as it was when nothing had been written to it. */
  static fresh(fd: number, offset: number, header: Int32Array, index: number): Region {
    header[PAGES + index] = SMALLEST_PAGES;
    return new Region(fd, offset, header, index);
  }

  /** Reads the first `end` words. */
  reader(end: number): RecordReader {
    const { bytes } = this.#window;
    return new RecordReader(wordsOf(bytes), bytes, end);
  }

  #map(): SharedWindow {
    return mapOrThrow(this.fd, this.#start, this.header[PAGES + this.index] * PAGE);
  }

  get #start(): number {
    return this.offset + PAGE + this.index * REGION;
  }

  /** A larger window of the same memory; what is in it stays where it is. */
  #grow(needed: number): { words: Uint32Array; bytes: Buffer } {
    this.header[PAGES + this.index] = Math.ceil(needed / WORDS_IN_PAGE) * 2;
    const former = this.#window;
    this.#window = this.#map();
    former.unmap();
    const { bytes } = this.#window;
    return { words: wordsOf(bytes), bytes };
  }

  /** Gives its memory back. */
  release(): void {
    this.#window.unmap();
    const status = forgetShared(this.fd, this.#start, this.header[PAGES + this.index] * PAGE);
    if (status < 0) overlayDebug('the memory of the former journal is not given back: %s', errnoName(status));
  }
}

export function mapOrThrow(fd: number, offset: number, length: number): SharedWindow {
  const window = mapShared(fd, offset, length);
  if (typeof window !== 'number') return window;
  throw new OverlayError({ operation: 'map the journal', errno: window });
}

function wordsOf(bytes: Buffer): Uint32Array {
  return new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
}
