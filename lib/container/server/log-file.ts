// SPDX-License-Identifier: MIT
/**
 * What a container writes, kept in the form of Docker's json-file driver, so that
 * other tools read it: a line `{"log":"…\n","stream":"stdout","time":"…"}` for each
 * line that was written.
 */
import { closeSync, fstatSync, openSync, readSync, writeSync } from 'node:fs';
import { StringDecoder } from 'node:string_decoder';

/** A line without an end is written in pieces of this size. */
const LONGEST_LINE = 16384;

export type LogStream = 'stdout' | 'stderr';

export interface LogEntry {
  log: string;
  stream: LogStream;
  /** ISO 8601. */
  time: string;
}

/** Takes pieces as they come and writes whole lines. */
export class LogWriter {
  readonly #fd: number;
  readonly #parts: Record<LogStream, { decoder: StringDecoder; text: string }> = {
    stdout: { decoder: new StringDecoder('utf8'), text: '' },
    stderr: { decoder: new StringDecoder('utf8'), text: '' },
  };
  /** What went wrong first: the container goes on when its log cannot. */
  failure: string | undefined;

  constructor(path: string) {
    this.#fd = openSync(path, 'a', 0o600);
  }

  write(stream: LogStream, bytes: Buffer): void {
    const part = this.#parts[stream];
    part.text += part.decoder.write(bytes);
    const time = new Date().toISOString();
    let lines = '';
    for (;;) {
      const newline = part.text.indexOf('\n');
      const end = newline >= 0 ? newline + 1 : part.text.length >= LONGEST_LINE ? LONGEST_LINE : 0;
      if (end === 0) break;
      lines += encode(part.text.slice(0, end), stream, time);
      part.text = part.text.slice(end);
    }
    this.#append(lines);
  }

  #append(lines: string): void {
    if (lines === '') return;
    try {
      writeSync(this.#fd, lines);
    } catch (failure) {
      this.failure ??= (failure as Error).message;
    }
  }

  close(): void {
    const time = new Date().toISOString();
    for (const [stream, { decoder, text }] of Object.entries(this.#parts)) {
      const rest = text + decoder.end();
      if (rest !== '') this.#append(encode(rest, stream as LogStream, time));
    }
    closeSync(this.#fd);
  }
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
