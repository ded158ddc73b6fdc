// SPDX-License-Identifier: MIT
/**
 * What a server leaves to the next one of a program: the journals of its streams, and a page of figures.
 *
 *   i32   how many clients hear it, whether its input has ended, whether a piece is being logged,
 *         who typed last
 *   f64   how much of each stream is in the log; the same when the piece is, the log's size before it and with
 *         it; how much input there was when who typed last began
 */
import { check } from '../../base/errors.js';
import { makePipe } from '../../sys/channels.js';
import { close } from '../../sys/files.js';
import { createSharedMemory, mapShared, type SharedWindow } from '../../sys/shared-memory.js';
import { InputJournal, makeJournal, OutputJournal, type Passage } from './journal.js';
import { type LogMarks, type LogStream, STREAMS } from './log-file.js';

const PAGE = 4096;
const STORY = { operation: 'keep standard streams' };

const Word = { CLIENTS: 0, INPUT_ENDED: 1, LOGGING: 2, TYPIST: 3 } as const;
const Figure = { LOGGED: 2, LOGGING: 4, SIZE_BEFORE: 6, SIZE_WITH: 7, TYPIST_BEGAN: 8 } as const;

/** The descriptors, or where they are among those that a shim holds. */
export interface KeptMemory {
  page: number;
  journals: readonly [stdout: number, stderr: number, input: number];
  /** From a terminal and to it. */
  passages: readonly [from: Passage, to: Passage] | undefined;
}

export class ProgramMemory implements LogMarks {
  readonly #window: SharedWindow;
  #words: Int32Array;
  #figures: Float64Array;
  readonly output: Record<LogStream, OutputJournal>;
  readonly input: InputJournal;

  constructor(readonly kept: KeptMemory) {
    this.#window = check(mapShared(kept.page, 0, PAGE), STORY);
    const { buffer, byteOffset } = this.#window.bytes;
    this.#words = new Int32Array(buffer, byteOffset, 4);
    this.#figures = new Float64Array(buffer, byteOffset, PAGE / 8);
    const [stdout, stderr, input] = kept.journals;
    const [from, to] = kept.passages ?? [];
    this.output = { stdout: new OutputJournal(stdout, from), stderr: new OutputJournal(stderr) };
    this.input = new InputJournal(input, to);
  }

  static make(terminal: boolean): ProgramMemory {
    const page = check(createSharedMemory('tsoverlay-program', PAGE), STORY);
    const passages = terminal ? ([makePassage(), makePassage()] as const) : undefined;
    return new ProgramMemory({ page, journals: [makeJournal(), makeJournal(), makeJournal()], passages });
  }

  get clients(): number {
    return this.#words[Word.CLIENTS];
  }

  set clients(count: number) {
    this.#words[Word.CLIENTS] = count;
  }

  get hasInputEnded(): boolean {
    return this.#words[Word.INPUT_ENDED] === 1;
  }

  set hasInputEnded(ended: boolean) {
    this.#words[Word.INPUT_ENDED] = ended ? 1 : 0;
  }

  /** The program begins anew: what was sent to the last one is not for it. */
  beginInput(): void {
    this.input.dropRest();
    this.hasInputEnded = false;
  }

  /** How much of what a client has sent is in the journal, where it was the last to send; undefined for others. */
  inputFrom(typist: number): number | undefined {
    if (this.#words[Word.TYPIST] !== typist) return undefined;
    return this.input.size - this.#figures[Figure.TYPIST_BEGAN];
  }

  /** A client sends from now on, who has sent `before` already. */
  beginTyping(typist: number, before: number): void {
    this.#figures[Figure.TYPIST_BEGAN] = this.input.size - before;
    Atomics.store(this.#words, Word.TYPIST, typist);
  }

  logged(stream: LogStream): number {
    return this.#figures[Figure.LOGGED + STREAMS.indexOf(stream)];
  }

  beginLogging(stream: LogStream, logged: number, sizeBefore: number, sizeWith: number): void {
    for (const name of STREAMS)
      this.#figures[Figure.LOGGING + STREAMS.indexOf(name)] = name === stream ? logged : this.logged(name);
    this.#figures[Figure.SIZE_BEFORE] = sizeBefore;
    this.#figures[Figure.SIZE_WITH] = sizeWith;
    Atomics.store(this.#words, Word.LOGGING, 1);
  }

  endLogging(): void {
    for (const name of STREAMS) {
      const at = STREAMS.indexOf(name);
      this.#figures[Figure.LOGGED + at] = this.#figures[Figure.LOGGING + at];
    }
    Atomics.store(this.#words, Word.LOGGING, 0);
  }

  settleLogging(size: number): number {
    if (this.#words[Word.LOGGING] === 0) return size;
    if (size >= this.#figures[Figure.SIZE_WITH]) {
      this.endLogging();
      return size;
    }
    Atomics.store(this.#words, Word.LOGGING, 0);
    return Math.min(size, this.#figures[Figure.SIZE_BEFORE]);
  }

  close(): void {
    for (const journal of [this.output.stdout, this.output.stderr, this.input]) journal.close();
    for (const { entrance, exit } of this.kept.passages ?? []) {
      close(entrance);
      close(exit);
    }
    close(this.kept.page);
    // Who still has it, a client that leaves late, may write what nobody reads.
    this.#words = new Int32Array(PAGE / 4);
    this.#figures = new Float64Array(PAGE / 8);
    this.#window.unmap();
  }
}

function makePassage(): Passage {
  const [exit, entrance] = check(makePipe(), STORY);
  return { exit, entrance };
}
