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
import type { Times } from '../../sys/entries.js';
import type { Stat } from '../../sys/stat.js';
import { type RecordedPlace, Recording } from './recorded.js';
import { Kind, textWords } from './records.js';
import { mapOrThrow, PAGE, Region } from './region.js';

/** A region gives way when it has this many words and as many times what counted when it was begun. */
const LONG = 1 << 20;
const GROWTH = 4;

const CURRENT = 0;
const END = 1;

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
    const reader = this.#region.reader(Atomics.load(this.header, END + this.#region.index));
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
    const at = this.#open(Kind.COMMIT, 5);
    const { writer } = this.#region;
    writer.words[at] = this.#unique;
    writer.words[at + 1] = this.#uniqueHigh;
    writer.words[at + 2] = status;
    writer.number(at + 3, node);
    this.#secure();
    this.#dirty = false;
  }

  #secure(): void {
    Atomics.store(this.header, END + this.#region.index, this.#region.writer.end);
  }

  #open(kind: number, length: number): number {
    this.#dirty = true;
    return this.#region.writer.open(kind, length);
  }

  node(node: NodeFacts, linked: boolean, parent: number, name: ByteString): void {
    const at = this.#open(Kind.NODE, 9 + textWords(name));
    const { writer } = this.#region;
    writer.number(at, node.id);
    writer.words[at + 2] = node.type;
    writer.words[at + 3] = node.references;
    writer.words[at + 4] = node.inodeLow;
    writer.words[at + 5] = node.inodeHigh;
    writer.words[at + 6] = linked ? 1 : 0;
    writer.number(at + 7, parent);
    writer.text(at + 9, name);
  }

  name(id: number, parent: number, name: ByteString): void {
    const at = this.#open(Kind.NAME, 4 + textWords(name));
    const { writer } = this.#region;
    writer.number(at, id);
    writer.number(at + 2, parent);
    writer.text(at + 4, name);
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
    const at = this.#open(Kind.REFER, 3);
    this.#region.writer.number(at, id);
    this.#region.writer.words[at + 2] = difference;
  }

  orphan(id: number, name: ByteString | null): void {
    const text = name ?? '';
    const at = this.#open(Kind.ORPHAN, 2 + textWords(text));
    this.#region.writer.number(at, id);
    this.#region.writer.text(at + 2, text);
  }

  place(id: number, isData: boolean, { layer, path }: RecordedPlace): void {
    const at = this.#open(Kind.PLACE, 4 + textWords(path));
    const { writer } = this.#region;
    writer.number(at, id);
    writer.words[at + 2] = isData ? 1 : 0;
    writer.words[at + 3] = layer;
    writer.text(at + 4, path);
  }

  lowers(id: number, positions: readonly number[]): void {
    const at = this.#open(Kind.LOWERS, 2 + positions.length);
    const { writer } = this.#region;
    writer.number(at, id);
    for (const [index, position] of positions.entries()) writer.words[at + 2 + index] = position;
  }

  dead(id: number, stat: Stat): void {
    const at = this.#open(Kind.DEAD, 19);
    const { writer } = this.#region;
    writer.number(at, id);
    writer.words[at + 2] = stat.mode;
    writer.words[at + 3] = stat.uid;
    writer.words[at + 4] = stat.gid;
    writer.number(at + 5, stat.size);
    writer.number(at + 7, stat.blocks);
    writer.words[at + 9] = stat.blockSize;
    this.#times(at + 10, stat);
    writer.number(at + 16, stat.changeSeconds);
    writer.words[at + 18] = stat.changeNanoseconds;
  }

  #times(at: number, times: Times): void {
    const { writer } = this.#region;
    writer.number(at, times.accessSeconds);
    writer.words[at + 2] = times.accessNanoseconds;
    writer.number(at + 3, times.modifySeconds);
    writer.words[at + 5] = times.modifyNanoseconds;
  }

  linked(id: number): void {
    this.#ofNode(Kind.LINKED, id);
  }

  drop(id: number): void {
    this.#ofNode(Kind.DROP, id);
  }

  next(id: number): void {
    this.#ofNode(Kind.NEXT, id);
  }

  #ofNode(kind: number, id: number): void {
    this.#region.writer.number(this.#open(kind, 2), id);
  }

  inode({ id, inodeLow, inodeHigh }: NodeFacts): void {
    const at = this.#open(Kind.INODE, 4);
    const { writer } = this.#region;
    writer.number(at, id);
    writer.words[at + 2] = inodeLow;
    writer.words[at + 3] = inodeHigh;
  }

  /** A directory's times are about to change for a moment. Secured at once. */
  times(path: ByteString, times: Times): void {
    const at = this.#open(Kind.TIMES, 6 + textWords(path));
    this.#times(at, times);
    this.#region.writer.text(at + 6, path);
    this.#secure();
  }

  /** The next step makes the request done. Secured at once. */
  intent(text: string): void {
    const at = this.#open(Kind.INTENT, 2 + textWords(text));
    const { writer } = this.#region;
    writer.words[at] = this.#unique;
    writer.words[at + 1] = this.#uniqueHigh;
    writer.text(at + 2, text);
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
    this.#region = Region.fresh(this.fd, this.offset, this.header, next);
    write();
    this.#startedWith = this.#region.writer.end;
    this.#secure();
    Atomics.store(this.header, CURRENT, next);
    this.#dirty = false;
    overlayDebug('the journal of %d words goes on with %d', former.writer.end, this.#startedWith);
    former.release();
  }
}
