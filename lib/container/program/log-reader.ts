// SPDX-License-Identifier: MIT
/** Reads a log from its oldest file on, and what is added to it while it is read, across rotations. */

import { closeSync, readSync } from 'node:fs';
import type { LogLimits } from '../state/config.js';
import type { LogEntry } from './log-file.js';
import { type OpenedLog, openNext, USUAL_LIMITS } from './log-rotation.js';

const NEWLINE = 10;

export class LogReader {
  readonly #buffer = Buffer.alloc(256 * 1024);
  #present: OpenedLog | undefined;
  /** In the present file; always the beginning of a line, as one that has no end yet may be taken back. */
  #offset = 0;

  constructor(
    private readonly path: string,
    private readonly limits: LogLimits = USUAL_LIMITS,
  ) {}

  /** The entries that are there now and were not read yet. What is no entry, as a full disk leaves it, is passed over. */
  *read(): Generator<LogEntry> {
    this.#present ??= openNext(this.path, this.limits);
    while (this.#present !== undefined) {
      yield* this.#readPresent(this.#present.fd);
      const next = openNext(this.path, this.limits, this.#present);
      if (next === undefined) return;
      // What was written after we looked and before the file got an older name.
      yield* this.#readPresent(this.#present.fd);
      this.close();
      this.#present = next;
      this.#offset = 0;
    }
  }

  *#readPresent(fd: number): Generator<LogEntry> {
    for (;;) {
      const count = readSync(fd, this.#buffer, 0, this.#buffer.length, this.#offset);
      const bytes = this.#buffer.subarray(0, count);
      // Ours are shorter than the buffer.
      const end = bytes.lastIndexOf(NEWLINE) + 1 || (count === this.#buffer.length ? count : 0);
      if (end === 0) return;
      this.#offset += end;
      for (const line of bytes.toString('utf8', 0, end).split('\n')) {
        const entry = parse(line);
        if (entry !== undefined) yield entry;
      }
    }
  }

  close(): void {
    if (this.#present !== undefined) closeSync(this.#present.fd);
    this.#present = undefined;
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
