// SPDX-License-Identifier: MIT
/**
 * What a container writes, kept in the form of Docker's json-file driver, so that
 * other tools read it: a line `{"log":"…\n","stream":"stdout","time":"…"}` for each
 * line that was written.
 */
import { closeSync, fstatSync, ftruncateSync, openSync, readSync, writeSync } from 'node:fs';
import { StringDecoder } from 'node:string_decoder';

/** Bytes; a line without an end is written in pieces of this size. */
const LONGEST_LINE = 16384;
const NEWLINE = 10;

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

/** Takes pieces as they come and writes whole lines. */
export class LogWriter {
  readonly #fd: number;
  #size: number;
  readonly #rest: Record<LogStream, Buffer> = { stdout: Buffer.alloc(0), stderr: Buffer.alloc(0) };
  /** What went wrong first: the container goes on when its log cannot. */
  failure: string | undefined;

  constructor(
    path: string,
    private readonly marks?: LogMarks,
  ) {
    this.#fd = openSync(path, 'a', 0o600);
    const { size } = fstatSync(this.#fd);
    this.#size = marks?.settleLogging(size) ?? size;
    if (this.#size < size) ftruncateSync(this.#fd, this.#size);
  }

  write(stream: LogStream, bytes: Buffer): void {
    const before = this.#rest[stream];
    let rest = before.length === 0 ? bytes : Buffer.concat([before, bytes]);
    const time = new Date().toISOString();
    let lines = '';
    let taken = 0;
    for (;;) {
      const end = endOfLine(rest);
      if (end === 0) break;
      lines += encode(rest.toString('utf8', 0, end), stream, time);
      rest = rest.subarray(end);
      taken += end;
    }
    this.#rest[stream] = rest;
    this.#append(lines, stream, taken);
  }

  #append(lines: string, stream: LogStream, taken: number): void {
    if (lines === '') return;
    const bytes = Buffer.from(lines);
    const { marks } = this;
    marks?.beginLogging(stream, marks.logged(stream) + taken, this.#size, this.#size + bytes.length);
    try {
      this.#size += writeSync(this.#fd, bytes);
    } catch (failure) {
      this.failure ??= (failure as Error).message;
      this.#size = fstatSync(this.#fd).size;
    }
    marks?.endLogging();
  }

  close(): void {
    const time = new Date().toISOString();
    for (const [stream, rest] of Object.entries(this.#rest) as [LogStream, Buffer][]) {
      if (rest.length > 0) this.#append(encode(rest.toString('utf8'), stream, time), stream, rest.length);
    }
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

/** Reads a log from its beginning, and what is added to it while it is read. */
export class LogReader {
  readonly #fd: number;
  readonly #buffer = Buffer.alloc(256 * 1024);
  readonly #decoder = new StringDecoder('utf8');
  #offset = 0;
  #text = '';

  constructor(path: string) {
    this.#fd = openSync(path, 'r');
  }

  /** The entries that are there now and were not read yet. What is no entry, as a full disk leaves it, is passed over. */
  *read(): Generator<LogEntry> {
    while (this.#offset < fstatSync(this.#fd).size) {
      const count = readSync(this.#fd, this.#buffer, 0, this.#buffer.length, this.#offset);
      this.#offset += count;
      this.#text += this.#decoder.write(this.#buffer.subarray(0, count));
      const lines = this.#text.split('\n');
      this.#text = lines.pop()!;
      for (const line of lines) {
        const entry = parse(line);
        if (entry !== undefined) yield entry;
      }
    }
  }

  close(): void {
    closeSync(this.#fd);
  }
}

function parse(line: string): LogEntry | undefined {
  try {
    const entry = JSON.parse(line) as LogEntry;
    return typeof entry.log === 'string' ? entry : undefined;
  } catch (failure) {
    if (failure instanceof SyntaxError) return undefined;
    throw failure;
  }
}
