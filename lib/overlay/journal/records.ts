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
 *   LOWERS  id, positions              which of its parent's lower directories it is merged of, where by its name alone
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
  LOWERS: 14,
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

  /** The words that are left of this record. */
  rest(): number[] {
    return [...this.words.subarray(this.#at, this.#limit)];
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

/** Words that a string takes. */
export function textWords(text: string): number {
  return 1 + ((text.length + 3) >>> 2);
}

/**
 * Room for records in a window; `end` counts in words. Fields are stored one by one where they
 * belong: a journal is written at every change, from the first request on, and calls that
 * nothing has compiled yet would cost more than what they do.
 */
export class RecordWriter {
  end = 0;

  constructor(
    public words: Uint32Array,
    private bytes: Buffer,
    /** Makes room: answers where records go on, in a larger window. */
    private readonly grow: (needed: number) => { words: Uint32Array; bytes: Buffer },
  ) {}

  /** Starts a record of so many words after its head. Answers where the first of them is. */
  open(kind: number, length: number): number {
    const start = this.end;
    const end = start + 1 + length;
    if (end > this.words.length) {
      const larger = this.grow(end);
      this.words = larger.words;
      this.bytes = larger.bytes;
    }
    this.words[start] = kind | ((1 + length) << 8);
    this.end = end;
    return start + 1;
  }

  number(at: number, value: number): void {
    this.words[at] = value;
    this.words[at + 1] = Math.floor(value / TWO_32);
  }

  text(at: number, value: string): void {
    this.words[at] = value.length;
    if (value.length > 0) this.bytes.latin1Write(value, (at + 1) * 4);
  }
}
