// SPDX-License-Identifier: MIT
/**
 * What the journal is written in: records of 32-bit words. The first word is the
 * kind and, from bit 8 on, the record's length in words; 64-bit numbers are two
 * words, low first; a string is its length in bytes and the bytes, filled up to a word.
 *
 *   NODE    id, type, references, inode, linked, parent, name    a node that the kernel knows
 *   NAME    id, parent, name           its first name is another now, or '' for none
 *   REFER   id, difference             the kernel counts on it more or less often
 *   ORPHAN  id, name                   its content is in the work directory, '' for no longer
 *   PLACE   id, data, layer, path      where a file without a name lies in a lower layer
 *   DEAD    id, mode, uid, gid, size, blocks, times      a directory that was removed while in use
 *   LINKED  id                         it has, or may have, several names
 *   INODE   id, inode                  it shows another number now
 *   DROP    id                         nobody counts on it any more
 *   NEXT    id                         the next id to be given away
 *   TIMES   access, modify, path       a directory of the upper is about to be changed for a copy-up
 *   INTENT  request, text              a request is about to take the step after which it is done
 *   COMMIT  request, status, node      a request is done, and this is its answer
 */

export const Kind = {
  NODE: 1,
  NAME: 2,
  REFER: 3,
  ORPHAN: 4,
  PLACE: 5,
  DEAD: 6,
  LINKED: 7,
  INODE: 8,
  DROP: 9,
  NEXT: 10,
  TIMES: 11,
  INTENT: 12,
  COMMIT: 13,
} as const;

const TWO_32 = 2 ** 32;

/** Reads the fields of one record after the other. */
export class RecordReader {
  #at = 0;
  #limit = 0;
  kind = 0;

  constructor(
    private readonly words: Uint32Array,
    private readonly bytes: Buffer,
    private readonly end: number,
  ) {}

  /** Goes to the next record. Answers false at the end, or where there is none that could be. */
  next(): boolean {
    this.#at = this.#limit;
    if (this.#at >= this.end) return false;
    const head = this.words[this.#at];
    this.kind = head & 0xff;
    const length = head >>> 8;
    if (length === 0 || this.#at + length > this.end) return false;
    this.#limit = this.#at + length;
    this.#at++;
    return true;
  }

  /** Whether another record follows this one. */
  get isLast(): boolean {
    return this.#limit >= this.end;
  }

  word(): number {
    return this.#at < this.#limit ? this.words[this.#at++] : 0;
  }

  signed(): number {
    return this.word() | 0;
  }

  number(): number {
    const low = this.word();
    return low + this.word() * TWO_32;
  }

  /** A number that may be negative. */
  integer(): number {
    const low = this.word();
    return low + this.signed() * TWO_32;
  }

  text(): string {
    const length = this.word();
    const start = this.#at * 4;
    this.#at += (length + 3) >>> 2;
    return this.#at > this.#limit ? '' : this.bytes.latin1Slice(start, start + length);
  }
}

/** Writes records into a window; `end` counts in words. */
export class RecordWriter {
  #start = 0;
  end = 0;

  constructor(
    private words: Uint32Array,
    private bytes: Buffer,
    /** Makes room: answers where the same record goes on, in a larger window. */
    private readonly grow: (needed: number) => { words: Uint32Array; bytes: Buffer },
  ) {}

  /** Starts a record whose strings have `length` bytes at most. */
  begin(kind: number, fixedWords: number, length = 0): this {
    const needed = this.end + fixedWords + 8 + (length >>> 2);
    if (needed > this.words.length) {
      const larger = this.grow(needed);
      this.words = larger.words;
      this.bytes = larger.bytes;
    }
    this.#start = this.end++;
    this.words[this.#start] = kind;
    return this;
  }

  word(value: number): this {
    this.words[this.end++] = value;
    return this;
  }

  number(value: number): this {
    this.words[this.end++] = value;
    this.words[this.end++] = Math.floor(value / TWO_32);
    return this;
  }

  text(value: string): this {
    this.words[this.end++] = value.length;
    this.bytes.latin1Write(value, this.end * 4);
    this.end += (value.length + 3) >>> 2;
    return this;
  }

  /** The record is whole. */
  close(): void {
    this.words[this.#start] |= (this.end - this.#start) << 8;
  }
}
