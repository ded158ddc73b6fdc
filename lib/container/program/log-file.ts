// SPDX-License-Identifier: MIT
/**
 * What a container writes, kept in the form of Docker's json-file driver, so that
 * other tools read it: a line `{"log":"…\n","stream":"stdout","time":"…"}` for each
 * line that was written. Where there is no space for it the program that writes is to
 * wait: what it has written meanwhile is kept in memory, and in its journal.
 */

import { closeSync, fstatSync, ftruncateSync, openSync, writeSync } from 'node:fs';
import type { LogLimits } from '../state/config.js';
import { lackOfSpace, shiftLog, USUAL_LIMITS } from './log-rotation.js';

/** Bytes; a line without an end is written in pieces of this size. */
const LONGEST_LINE = 16384;
const NEWLINE = 10;
/** Bytes. */
const ASKED_EACH = 1 << 20;

export const STREAMS = ['stdout', 'stderr'] as const;
export type LogStream = (typeof STREAMS)[number];

export interface LogEntry {
  log: string;
  stream: LogStream;
  /** ISO 8601. */
  time: string;
}

/** Where it is noted how far the log has come, for the next server. */
export interface LogMarks {
  /** How many bytes of a stream are in the log. */
  logged(stream: LogStream): number;
  /** Before a piece is written: how many bytes of the stream will be in the log, and its size before and after. */
  beginLogging(stream: LogStream, logged: number, sizeBefore: number, sizeWith: number): void;
  endLogging(): void;
  /** Finishes what an earlier server has begun; answers the size that the log is to have, of `size` now. */
  settleLogging(size: number): number;
}

/** Who a log is written for. */
export interface LogOwner {
  marks?: LogMarks;
  /** There is no space for more, with the reason, and without one there is again. */
  lacking?(reason: string | undefined): void;
}

/** Takes pieces as they come and writes whole lines. */
export class LogWriter {
  #fd: number;
  #size = 0;
  readonly #rest: Record<LogStream, Buffer> = { stdout: Buffer.alloc(0), stderr: Buffer.alloc(0) };
  /** Bytes that may be written before it is asked again how much is free. */
  #unasked = 0;
  #lack: string | undefined;
  /** What went wrong first: the container goes on when its log cannot. */
  failure: string | undefined;

  constructor(
    private readonly path: string,
    private readonly limits: LogLimits = USUAL_LIMITS,
    private readonly owner: LogOwner = {},
  ) {
    this.#fd = openSync(path, 'a', 0o600);
    this.#size = fstatSync(this.#fd).size;
    const settled = owner.marks?.settleLogging(this.#size) ?? this.#size;
    if (settled < this.#size) this.#cutTo(settled);
  }

  /** What it was given is not all written, as there is no space: it is to be given no more, and tried again. */
  get isFull(): boolean {
    return this.#lack !== undefined;
  }

  write(stream: LogStream, bytes: Buffer): void {
    const before = this.#rest[stream];
    this.#rest[stream] = before.length === 0 ? bytes : Buffer.concat([before, bytes]);
    if (!this.isFull) this.#writeLines(stream);
  }

  /** Tries whether there is space again; answers whether all is written. */
  retry(): boolean {
    this.#unasked = 0;
    if (STREAMS.every((stream) => this.#writeLines(stream))) this.#setLack(undefined);
    return !this.isFull;
  }

  #setLack(reason: string | undefined): void {
    const isNew = (reason === undefined) === this.isFull;
    this.#lack = reason;
    if (isNew) this.owner.lacking?.(reason);
  }

  /** Writes the whole lines that there are; `atEnd` also one that has no end, and into what is to be left free. */
  #writeLines(stream: LogStream, atEnd = false): boolean {
    for (;;) {
      const { text, taken } = this.#nextPiece(this.#rest[stream], stream, atEnd);
      if (taken === 0) return true;
      const bytes = Buffer.from(text);
      const lack = (atEnd ? undefined : this.#lackFor(bytes.length)) ?? this.#append(bytes, stream, taken);
      if (lack !== undefined) {
        this.#setLack(lack);
        return false;
      }
      this.#rest[stream] = this.#rest[stream].subarray(taken);
    }
  }

  /** As many lines as the present file takes, or one that the next one is to take. */
  #nextPiece(rest: Buffer, stream: LogStream, atEnd: boolean): { text: string; taken: number } {
    const { maxSize } = this.limits;
    const room = maxSize === 0 ? Number.POSITIVE_INFINITY : maxSize - this.#size;
    const time = new Date().toISOString();
    let [text, size, taken] = ['', 0, 0];
    while (taken < rest.length) {
      const left = rest.subarray(taken);
      const end = endOfLine(left) || (atEnd ? left.length : 0);
      const line = end === 0 ? '' : encode(left.toString('utf8', 0, end), stream, time);
      size += Buffer.byteLength(line);
      if (end === 0 || (text !== '' && size > room)) break;
      text += line;
      taken += end;
    }
    return { text, taken };
  }

  #lackFor(length: number): string | undefined {
    this.#unasked -= length;
    if (this.#unasked > 0) return undefined;
    const lack = lackOfSpace(this.path, length + ASKED_EACH, this.limits);
    if (lack === undefined) this.#unasked = ASKED_EACH;
    return lack;
  }

  /** Answers why there is no space for it, where that is so; what fails otherwise is lost. */
  #append(bytes: Buffer, stream: LogStream, taken: number): string | undefined {
    const { marks } = this.owner;
    let before = this.#size;
    try {
      before = this.#makeRoom(bytes.length);
      marks?.beginLogging(stream, marks.logged(stream) + taken, before, before + bytes.length);
      for (let done = 0; done < bytes.length; ) done += writeSync(this.#fd, bytes, done);
      this.#size = before + bytes.length;
    } catch (failure) {
      const { code, message } = failure as NodeJS.ErrnoException;
      this.#cutTo(before);
      if (code === 'ENOSPC' || code === 'EDQUOT') {
        marks?.settleLogging(before);
        return `no space is left for its log: ${message}`;
      }
      this.failure ??= message;
    }
    marks?.endLogging();
    return undefined;
  }

  /** Answers how large the file is that takes so many bytes more. */
  #makeRoom(length: number): number {
    const { maxSize } = this.limits;
    if (maxSize === 0 || this.#size === 0 || this.#size + length <= maxSize) return this.#size;
    shiftLog(this.path, this.limits);
    const next = openSync(this.path, 'a', 0o600);
    closeSync(this.#fd);
    this.#fd = next;
    this.#size = 0;
    return 0;
  }

  /** A line is there whole or not at all. */
  #cutTo(size: number): void {
    try {
      ftruncateSync(this.#fd, size);
      this.#size = size;
    } catch (failure) {
      this.failure ??= (failure as Error).message;
      this.#size = fstatSync(this.#fd).size;
    }
  }

  /** A program has ended: its last words are written, a line without an end and what waits for space among them. */
  finish(): void {
    for (const stream of STREAMS) {
      if (this.#writeLines(stream, true)) continue;
      this.failure ??= this.#lack;
      this.#forget(stream);
    }
    this.#setLack(undefined);
  }

  #forget(stream: LogStream): void {
    const { marks } = this.owner;
    const { length } = this.#rest[stream];
    marks?.beginLogging(stream, marks.logged(stream) + length, this.#size, this.#size);
    marks?.endLogging();
    this.#rest[stream] = Buffer.alloc(0);
  }

  close(): void {
    this.finish();
    closeSync(this.#fd);
  }
}

/** Where the first line ends, with its newline; 0 where it goes on. One that is too long ends between two characters. */
function endOfLine(bytes: Buffer): number {
  const newline = bytes.indexOf(NEWLINE);
  if (newline >= 0 && newline < LONGEST_LINE) return newline + 1;
  if (bytes.length <= LONGEST_LINE) return 0;
  let end = LONGEST_LINE;
  // UTF-8 marks all bytes of a character but the first, of which there are three at most.
  while (end > LONGEST_LINE - 3 && (bytes[end] & 0xc0) === 0x80) end--;
  return end;
}

function encode(log: string, stream: LogStream, time: string): string {
  return `${JSON.stringify({ log, stream, time } satisfies LogEntry)}\n`;
}
