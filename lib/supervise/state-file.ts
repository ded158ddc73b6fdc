// SPDX-License-Identifier: MIT
/**
 * What a server leaves to the next one, in memory that outlives it and that its shim holds: a header of i32 words,
 * and whatever the server lays out behind it.
 *
 *   magic, format, process id of the server, then the server's own words
 */
import { check, OverlayError } from '../base/errors.js';
import { mapShared } from '../sys/shared-memory.js';

export const STATE_PAGE = 4096;

const Word = { MAGIC: 0, FORMAT: 1, SERVER: 2 } as const;
/** The first word that is the server's own. */
export const OWN_WORDS = 3;

/** Whose state it is. */
export interface StateKind {
  magic: number;
  /** Changes with everything that a server of another version would misread. */
  format: number;
  /** For messages: `mount`, `container`. */
  name: string;
  /** What the user can do where this version cannot read it. */
  remedy: string;
}

/** A part of the file for one JSON text; both are multiples of the page size. */
export interface Room {
  offset: number;
  length: number;
}

export class StateFile {
  /** The header. */
  readonly words: Int32Array;

  private constructor(
    readonly fd: number,
    private readonly kind: StateKind,
  ) {
    const { buffer, byteOffset } = this.map(0, STATE_PAGE);
    this.words = new Int32Array(buffer, byteOffset, STATE_PAGE / 4);
  }

  /** The state of what begins with this process, in memory that is still empty. */
  static begin(fd: number, kind: StateKind): StateFile {
    const state = new StateFile(fd, kind);
    state.words[Word.MAGIC] = kind.magic;
    state.words[Word.FORMAT] = kind.format;
    state.words[Word.SERVER] = process.pid;
    return state;
  }

  /** The state that an earlier server has left. Throws an OverlayError for one that this version cannot read. */
  static open(fd: number, kind: StateKind): StateFile {
    const state = new StateFile(fd, kind);
    const format = state.words[Word.FORMAT];
    if (state.words[Word.MAGIC] === kind.magic && format === kind.format) return state;
    throw new OverlayError({
      operation: `go on with the ${kind.name}`,
      reason: `its state has format ${format}, this version reads ${kind.format}`,
      remedy: kind.remedy,
    });
  }

  /** This process is the server from now on. Answers the process id of the last one. */
  takeOver(): number {
    const last = this.words[Word.SERVER];
    this.words[Word.SERVER] = process.pid;
    return last;
  }

  /** A part that stays mapped as long as this process runs. */
  map(offset: number, length: number): Buffer {
    return check(mapShared(this.fd, offset, length), this.#story).bytes;
  }

  /** Answers how many bytes it takes. Throws an OverlayError where there is no room for it. */
  writeJson({ offset, length }: Room, value: unknown): number {
    const text = Buffer.from(JSON.stringify(value));
    if (text.length > length) {
      throw new OverlayError({
        operation: `keep the state of the ${this.kind.name}`,
        reason: `it is too long, ${text.length} bytes of ${length}`,
      });
    }
    const window = check(mapShared(this.fd, offset, length), this.#story);
    text.copy(window.bytes);
    window.unmap();
    return text.length;
  }

  /** What was written there, by how many bytes it took. */
  readJson<T>({ offset, length }: Room, size: number): T {
    const window = check(mapShared(this.fd, offset, length), this.#story);
    try {
      return JSON.parse(window.bytes.toString('utf8', 0, size)) as T;
    } finally {
      window.unmap();
    }
  }

  get #story(): { operation: string } {
    return { operation: `map the state of the ${this.kind.name}` };
  }
}
