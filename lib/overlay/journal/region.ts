// SPDX-License-Identifier: MIT
/**
 * One of the two regions of shared memory that a journal is written to in turn (journal.ts),
 * mapped as far as it is used.
 */
import { fstatSync } from 'node:fs';
import { overlayDebug } from '../../base/debug.js';
import { EFBIG, errnoName } from '../../base/errno.js';
import { check, OverlayError } from '../../base/errors.js';
import { forgetShared, mapShared, type SharedWindow } from '../../sys/shared-memory.js';
import { RecordReader, RecordWriter } from './records.js';

export const PAGE = 4096;
const WORDS_IN_PAGE = PAGE / 4;
/** Bytes between the two regions, and room for each, where the process may have files of any size. */
const REGION = 2 ** 40;
const SMALLEST_PAGES = 256;

/** In the header: where it is said how many pages each has. */
const PAGES = 3;

/** Bytes of shared memory that a journal may use from its offset on; most of them are never touched. */
export const JOURNAL_SPACE = 2 * REGION + PAGE;
/** With so many it can begin. */
export const LEAST_JOURNAL_SPACE = 2 * SMALLEST_PAGES * PAGE + PAGE;

export class Region {
  #window: SharedWindow;
  readonly #room: number;
  readonly writer: RecordWriter;

  constructor(
    private readonly fd: number,
    private readonly offset: number,
    private readonly header: Int32Array,
    readonly index: number,
  ) {
    this.#room = Math.floor((fstatSync(fd).size - offset - PAGE) / (2 * PAGE)) * PAGE;
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
    return this.offset + PAGE + this.index * this.#room;
  }

  /** A larger window of the same memory; what is in it stays where it is. */
  #grow(needed: number): { words: Uint32Array; bytes: Buffer } {
    const wanted = Math.ceil(needed / WORDS_IN_PAGE);
    const most = this.#room / PAGE;
    if (wanted > most) throw new OverlayError({ operation: 'write the journal', errno: -EFBIG });
    this.header[PAGES + this.index] = Math.min(2 * wanted, most);
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
  return check(mapShared(fd, offset, length), { operation: 'map the journal' });
}

function wordsOf(bytes: Buffer): Uint32Array {
  return new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
}
