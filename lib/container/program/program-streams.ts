// SPDX-License-Identifier: MIT
/**
 * The standard streams of a container's program, on the server's side: pipes, or the master of a terminal. All
 * bytes pass through the program's memory (journal.ts), where the next server finds them.
 */
import { EAGAIN, EINTR, EIO } from '../../base/errno.js';
import { close } from '../../sys/files.js';
import { setTerminalSize, type TerminalSize } from '../../sys/terminals.js';
import type { StreamDescriptors } from '../runtime/runtime.js';
import type { LogStream } from './log-file.js';
import type { ProgramMemory } from './program-memory.js';
import { watchReady } from './readiness.js';

/** A terminal does not say when it can take more, and nobody when there is memory again. */
const RETRY_MS = 5;
/** What a program did not read after so much more has come: the sender waits. */
const INPUT_ROOM = 1 << 20;
/** So long pieces are taken before others have their turn: a request to stop is not to wait for a program that floods. */
const TURN_MS = 10;

interface Source {
  stream: LogStream;
  fd: number;
}

/** Who hears of the streams. */
export interface StreamHandlers {
  /** The program has written so much. */
  take(stream: LogStream, bytes: Buffer): void;
  /** The program finds the end of its input, and nobody is to hold it open any more. */
  inputEnded(): void;
}

export class ProgramStreams {
  readonly #sources: Source[];
  /** Where what it reads goes; undefined when it has ended. */
  #target: number | undefined;
  readonly #unwatch: () => void;
  #unwatchInput: () => void = () => undefined;
  #isPaused = false;
  #isClosed = false;
  #isFinishing = false;
  #timer: NodeJS.Timeout | undefined;
  #next: NodeJS.Immediate | undefined;
  #room: (() => void) | undefined;
  #end!: () => void;
  /** Settles when nothing more can come. */
  readonly ended = new Promise<void>((resolve) => {
    this.#end = resolve;
  });
  /** `descriptors` become this object's. */
  constructor(
    private readonly descriptors: StreamDescriptors,
    private readonly memory: ProgramMemory,
    private readonly handlers: StreamHandlers,
  ) {
    if ('terminal' in descriptors) {
      this.#sources = [{ stream: 'stdout', fd: descriptors.terminal }];
      this.#target = descriptors.terminal;
    } else {
      this.#sources = [
        { stream: 'stdout', fd: descriptors.output },
        { stream: 'stderr', fd: descriptors.errors },
      ];
      this.#target = descriptors.input;
    }
    const watched = this.#sources.map(({ fd }) => fd);
    this.#unwatch = watchReady(watched, () => this.#look());
    if (this.#target !== undefined && !this.isTerminal)
      this.#unwatchInput = watchReady([this.#target], () => this.#give());
    // What came before anybody watched.
    this.#lookSoon();
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  get isTerminal(): boolean {
    return 'terminal' in this.descriptors;
  }

  /** Descriptors that are still in use, for who is to hold them. */
  get open(): StreamDescriptors {
    const { descriptors } = this;
    return 'terminal' in descriptors ? descriptors : { ...descriptors, input: this.#target };
  }

  /** Answers how many bytes were moved. */
  #look(): number {
    return this.#give() + this.#drain();
  }

  /** Takes what has come; all of it where that is not much. */
  #drain(): number {
    let taken = 0;
    const turnEnds = performance.now() + TURN_MS;
    do {
      if (this.#isPaused || this.#isClosed) return taken;
      const counts = [...this.#sources].map((source) => this.#takePiece(source));
      const count = counts.reduce((sum, one) => sum + one, 0);
      if (count === 0) return taken;
      taken += count;
    } while (performance.now() < turnEnds);
    this.#lookSoon();
    return taken;
  }

  /** When timers and other clients have had their turn. */
  #lookSoon(): void {
    clearImmediate(this.#next);
    this.#next = setImmediate(() => this.#look());
  }

  /** Answers how many bytes were taken. */
  #takePiece(source: Source): number {
    const journal = this.memory.output[source.stream];
    const before = journal.end;
    const count = journal.take(source.fd);
    if (count > 0) {
      this.handlers.take(source.stream, journal.read(before, journal.end));
      return count;
    }
    if (count === -EAGAIN) return 0;
    // A terminal whose last program has gone says EIO.
    if (count !== 0 && count !== -EIO) {
      this.#lookLater();
      return 0;
    }
    this.#sources.splice(this.#sources.indexOf(source), 1);
    if (this.#sources.length === 0) this.#end();
    return 0;
  }

  /** Sends what the program is to read; answers false where it reads slowly, and calls `room` when more can be sent. */
  write(bytes: Buffer, room: () => void): boolean {
    // The program closed its input: nobody reads what is still sent.
    if (this.#target === undefined) return true;
    this.memory.input.add(bytes);
    this.#give();
    if (this.memory.input.waiting < INPUT_ROOM) return true;
    this.#room = room;
    return false;
  }

  /** Answers how many bytes were given. */
  #give(): number {
    if (this.#target === undefined) return 0;
    const { input, hasInputEnded } = this.memory;
    const { waiting } = input;
    const status = input.give(this.#target);
    if (status === -EAGAIN || status === -EINTR) {
      if (this.isTerminal || status === -EINTR) this.#lookLater();
    } else if (status < 0 || (hasInputEnded && !this.isTerminal)) this.#closeInput();
    const given = waiting - input.waiting;
    if (this.#target !== undefined && input.waiting >= INPUT_ROOM) return given;
    this.#room?.();
    this.#room = undefined;
    return given;
  }

  #lookLater(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#look(), RETRY_MS);
  }

  /** The program finds the end of its input when it has read what was sent; a terminal has none. */
  endInput(): void {
    if (this.isTerminal) return;
    this.memory.hasInputEnded = true;
    this.#give();
  }

  #closeInput(): void {
    const target = this.#target;
    this.#target = undefined;
    if (target === undefined || this.isTerminal) return;
    this.#unwatchInput();
    close(target);
    this.handlers.inputEnded();
  }

  resize(size: TerminalSize): void {
    // A terminal that is gone has no size.
    if ('terminal' in this.descriptors && !this.#isClosed) setTerminalSize(this.descriptors.terminal, size);
  }

  pause(): void {
    this.#isPaused = !this.#isFinishing;
  }

  /**
   * The program has ended: what is left of its output, which a pipe can hold, is taken whoever is slow. The
   * end of a terminal is not said, so it is looked for.
   */
  finish(): void {
    this.#isFinishing = true;
    this.resume();
  }

  /**
   * Not at once: a client that reads as fast as the program writes has its `drain` in the same turn of the event
   * loop, over and over, and a request to stop would never be heard.
   */
  resume(): void {
    this.#isPaused = false;
    if (!this.#isClosed) this.#lookSoon();
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearTimeout(this.#timer);
    clearImmediate(this.#next);
    this.#unwatch();
    if (this.#target !== undefined) this.#unwatchInput();
    const { open } = this;
    for (const fd of Object.values(open)) if (fd !== undefined) close(fd);
    this.#target = undefined;
    this.#end();
  }
}
