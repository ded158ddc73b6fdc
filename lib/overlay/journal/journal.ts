// SPDX-License-Identifier: MIT
/**
 * The journal: what a new server must know of the old one's state, written into
 * memory that outlives it (sys/shared-memory.ts). That is which node id stands for
 * which file and how often the kernel counts on it; everything else is found on disk.
 *
 * Invariants:
 * - Records take effect by one store of the committed end, at the end of their
 *   request and before its answer is sent. A kill before it leaves no trace of the
 *   request in the journal, a kill after it leaves all of it.
 * - A step on disk that may not be taken twice is preceded by an INTENT, which is
 *   secured at once. A server that finds one without a COMMIT asks the disk whether
 *   the step was taken (redo.ts).
 * - Two regions are used in turn: when one is long, what still counts is written to
 *   the other, and one store says which of them it is.
 *
 * Nothing here is a system call, but when a region grows or gives way.
 *
 *   page 0: i32 region, i32 committed end of each in words, i32 length of each in pages
 */
import type { ByteString } from '../../base/bytes.js';
import { overlayDebug } from '../../base/debug.js';
import { errnoName } from '../../base/errno.js';
import { OverlayError } from '../../base/errors.js';
import type { Times } from '../../sys/entries.js';
import { forgetShared, mapShared, type SharedWindow } from '../../sys/shared-memory.js';
import type { Stat } from '../../sys/stat.js';
import { type RecordedPlace, Recording } from './recorded.js';
import { Kind, RecordReader, RecordWriter } from './records.js';

const PAGE = 4096;
const WORDS_IN_PAGE = PAGE / 4;
/** Bytes between the two regions, and room for each. */
const REGION = 2 ** 40;
const SMALLEST_PAGES = 256;
/** A region gives way when it has this many words and as many times what counted when it was begun. */
const LONG = 1 << 20;
const GROWTH = 4;

const CURRENT = 0;
const END = 1;
const PAGES = 3;

/** Bytes of shared memory that a journal may use from its offset on; most of them are never touched. */
export const JOURNAL_SPACE = 2 * REGION + PAGE;

/** What the journal keeps of a node. */
export interface NodeFacts {
  readonly id: number;
  readonly type: number;
  references: number;
  inodeLow: number;
  inodeHigh: number;
}

export class Journal {
  #region: Region;
  /** Words that counted when this region was begun. */
  #startedWith = 0;
  #dirty = false;
  #tally: number[] | null = null;
  /** The request that is being served. */
  #unique = 0;
  #uniqueHigh = 0;

  private constructor(
    private readonly fd: number,
    private readonly offset: number,
    private readonly header: Int32Array,
  ) {
    const index = Atomics.load(header, CURRENT);
    this.#region = new Region(fd, offset, header, index);
    this.#region.writer.end = Atomics.load(header, END + index);
  }

  /** The journal at a page of shared memory, which is new or was written by an earlier server. Throws an OverlayError. */
  static open(fd: number, offset: number): Journal {
    const header = mapOrThrow(fd, offset, PAGE);
    return new Journal(fd, offset, new Int32Array(header.bytes.buffer, header.bytes.byteOffset));
  }

  /** Reads everything that an earlier server has secured. */
  read(): Recording {
    const recording = new Recording();
    const { bytes } = this.#region.window;
    const end = Atomics.load(this.header, END + this.#region.index);
    const reader = new RecordReader(wordsOf(bytes), bytes, end);
    while (reader.next()) recording.take(reader);
    return recording;
  }

  /** A request begins. */
  begin(unique: number, uniqueHigh: number): void {
    this.#unique = unique;
    this.#uniqueHigh = uniqueHigh;
  }

  /** The request is done: all that was written for it takes effect, before it is answered. */
  commit(status: number, node: number): void {
    if (!this.#dirty) return;
    this.#record(Kind.COMMIT, 5).word(this.#unique).word(this.#uniqueHigh).word(status).number(node).close();
    this.#secure();
    this.#dirty = false;
  }

  #secure(): void {
    Atomics.store(this.header, END + this.#region.index, this.#region.writer.end);
  }

  #record(kind: number, fixedWords: number, length = 0): RecordWriter {
    this.#dirty = true;
    return this.#region.writer.begin(kind, fixedWords, length);
  }

  node(node: NodeFacts, linked: boolean, parent: number, name: ByteString): void {
    this.#record(Kind.NODE, 10, name.length)
      .number(node.id)
      .word(node.type)
      .word(node.references)
      .word(node.inodeLow)
      .word(node.inodeHigh)
      .word(linked ? 1 : 0)
      .number(parent)
      .text(name)
      .close();
  }

  name(id: number, parent: number, name: ByteString): void {
    this.#record(Kind.NAME, 5, name.length).number(id).number(parent).text(name).close();
  }

  /** What `serve` makes the kernel count on nodes: ids and counts in turn. */
  tally<T>(serve: () => T): { result: T; references: readonly number[] } {
    const references: number[] = [];
    this.#tally = references;
    const result = serve();
    this.#tally = null;
    return { result, references };
  }

  refer(id: number, difference: number): void {
    this.#tally?.push(id, difference);
    this.#record(Kind.REFER, 3).number(id).word(difference).close();
  }

  orphan(id: number, name: ByteString | null): void {
    this.#record(Kind.ORPHAN, 3, name?.length)
      .number(id)
      .text(name ?? '')
      .close();
  }

  place(id: number, isData: boolean, place: RecordedPlace | null): void {
    this.#record(Kind.PLACE, 5, place?.path.length)
      .number(id)
      .word(isData ? 1 : 0)
      .word(place?.layer ?? -1)
      .text(place?.path ?? '')
      .close();
  }

  dead(id: number, stat: Stat): void {
    this.#record(Kind.DEAD, 20)
      .number(id)
      .word(stat.mode)
      .word(stat.uid)
      .word(stat.gid)
      .number(stat.size)
      .number(stat.blocks)
      .word(stat.blockSize)
      .number(stat.accessSeconds)
      .word(stat.accessNanoseconds)
      .number(stat.modifySeconds)
      .word(stat.modifyNanoseconds)
      .number(stat.changeSeconds)
      .word(stat.changeNanoseconds)
      .close();
  }

  linked(id: number): void {
    this.#record(Kind.LINKED, 2).number(id).close();
  }

  inode({ id, inodeLow, inodeHigh }: NodeFacts): void {
    this.#record(Kind.INODE, 4).number(id).word(inodeLow).word(inodeHigh).close();
  }

  drop(id: number): void {
    this.#record(Kind.DROP, 2).number(id).close();
  }

  next(id: number): void {
    this.#record(Kind.NEXT, 2).number(id).close();
  }

  /** A directory's times are about to change for a moment. Secured at once. */
  times(path: ByteString, times: Times): void {
    this.#record(Kind.TIMES, 7, path.length)
      .number(times.accessSeconds)
      .word(times.accessNanoseconds)
      .number(times.modifySeconds)
      .word(times.modifyNanoseconds)
      .text(path)
      .close();
    this.#secure();
  }

  /** The next step makes the request done. Secured at once. */
  intent(text: string): void {
    this.#record(Kind.INTENT, 3, text.length).word(this.#unique).word(this.#uniqueHigh).text(text).close();
    this.#secure();
  }

  /** Whether it is time to write what counts anew. */
  get isLong(): boolean {
    const { end } = this.#region.writer;
    return end > LONG && end > GROWTH * this.#startedWith;
  }

  /**
   * Writes what counts to the other region, as `write` does it through this journal,
   * and goes on there. Only between two requests: of the last one's answer nothing is kept.
   */
  startAnew(write: () => void): void {
    const former = this.#region;
    const next = 1 - former.index;
    this.header[PAGES + next] = SMALLEST_PAGES;
    this.#region = new Region(this.fd, this.offset, this.header, next);
    write();
    this.#startedWith = this.#region.writer.end;
    this.#secure();
    Atomics.store(this.header, CURRENT, next);
    this.#dirty = false;
    overlayDebug('the journal of %d words goes on with %d', former.writer.end, this.#startedWith);
    former.release();
  }
}

/** One of the two regions, mapped as far as it is used. */
class Region {
  window: SharedWindow;
  readonly writer: RecordWriter;

  constructor(
    private readonly fd: number,
    private readonly offset: number,
    private readonly header: Int32Array,
    readonly index: number,
  ) {
    if (header[PAGES + index] === 0) header[PAGES + index] = SMALLEST_PAGES;
    this.window = this.#map();
    const { bytes } = this.window;
    this.writer = new RecordWriter(wordsOf(bytes), bytes, (needed) => this.#grow(needed));
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
    const former = this.window;
    this.window = this.#map();
    former.unmap();
    const { bytes } = this.window;
    return { words: wordsOf(bytes), bytes };
  }

  /** Gives its memory back. */
  release(): void {
    this.window.unmap();
    const status = forgetShared(this.fd, this.#start, this.header[PAGES + this.index] * PAGE);
    if (status < 0) overlayDebug('the memory of the former journal is not given back: %s', errnoName(status));
  }
}

function mapOrThrow(fd: number, offset: number, length: number): SharedWindow {
  const window = mapShared(fd, offset, length);
  if (typeof window !== 'number') return window;
  throw new OverlayError({ operation: 'map the journal', errno: window });
}

function wordsOf(bytes: Buffer): Uint32Array {
  return new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
}
