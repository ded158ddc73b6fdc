// SPDX-License-Identifier: MIT
/** The standard streams of a container's program, on the server's side: pipes, or the master of a terminal. */
import { writeSync } from 'node:fs';
import { Socket } from 'node:net';
import { ReadStream } from 'node:tty';
import { setStatusFlags } from '../../sys/channels.js';
import { O_NONBLOCK, O_RDWR } from '../../sys/files.js';
import { setTerminalSize, type TerminalSize } from '../../sys/terminals.js';
import type { StreamDescriptors } from '../runtime/runtime.js';
import type { LogStream } from './log-file.js';

const RETRY_MS = 5;
/** What a program did not read after so much more has come is not kept: the sender waits. */
const INPUT_ROOM = 1 << 20;

export class ProgramStreams {
  readonly #terminal: number | undefined;
  readonly #sources: Socket[];
  readonly #input: Socket | undefined;
  #waiting: Buffer[] = [];
  #timer: NodeJS.Timeout | undefined;
  /** Settles when nothing more can come. */
  readonly ended: Promise<void>;

  constructor(streams: StreamDescriptors, take: (stream: LogStream, bytes: Buffer) => void) {
    if ('terminal' in streams) {
      this.#terminal = streams.terminal;
      this.#sources = [new ReadStream(streams.terminal)];
      // A program that does not read its terminal must not stop the server.
      setStatusFlags(streams.terminal, O_RDWR | O_NONBLOCK);
    } else {
      this.#sources = [streams.output, streams.errors].map(
        (fd) => new Socket({ fd, readable: true, writable: false }),
      );
      this.#input = new Socket({ fd: streams.input, readable: false, writable: true });
      // The program closed its input: nobody reads what is still sent.
      this.#input.on('error', () => this.#input?.destroy());
    }
    this.#sources.forEach((source, index) => {
      source.on('data', (bytes: Buffer) => take(index === 0 ? 'stdout' : 'stderr', bytes));
      // A terminal whose last program has gone says EIO.
      source.on('error', () => source.destroy());
    });
    this.ended = Promise.all(
      this.#sources.map((source) => new Promise((resolve) => source.once('close', resolve))),
    ).then(() => undefined);
  }

  /** Answers false where the program reads slowly; `room` is called when more can be sent. */
  write(bytes: Buffer, room: () => void): boolean {
    if (this.#terminal === undefined) {
      if (this.#input === undefined || this.#input.destroyed || this.#input.write(bytes)) return true;
      this.#input.once('drain', room);
      this.#input.once('close', room);
      return false;
    }
    this.#waiting.push(bytes);
    this.#writeTerminal();
    if (this.#waiting.reduce((size, { length }) => size + length, 0) < INPUT_ROOM) return true;
    setTimeout(room, RETRY_MS);
    return false;
  }

  #writeTerminal(): void {
    clearTimeout(this.#timer);
    while (this.#waiting.length > 0 && !this.#sources[0].destroyed) {
      try {
        const count = writeSync(this.#terminal!, this.#waiting[0]);
        if (count < this.#waiting[0].length) this.#waiting[0] = this.#waiting[0].subarray(count);
        else this.#waiting.shift();
      } catch (failure) {
        if ((failure as NodeJS.ErrnoException).code !== 'EAGAIN') {
          this.#waiting = [];
          return;
        }
        this.#timer = setTimeout(() => this.#writeTerminal(), RETRY_MS);
        return;
      }
    }
  }

  /** The program finds the end of its input; a terminal has none. */
  endInput(): void {
    this.#input?.end();
  }

  resize(size: TerminalSize): void {
    // A terminal that is gone has no size.
    if (this.#terminal !== undefined && !this.#sources[0].destroyed) setTerminalSize(this.#terminal, size);
  }

  pause(): void {
    for (const source of this.#sources) source.pause();
  }

  resume(): void {
    for (const source of this.#sources) source.resume();
  }

  close(): void {
    clearTimeout(this.#timer);
    for (const source of this.#sources) source.destroy();
    this.#input?.destroy();
  }
}
