// SPDX-License-Identifier: MIT
/**
 * Bytes on their way between a program and everybody else: files without a name, whose positions say how far they
 * have come. Bytes and position move in one system call (splice.ts), so a server that is killed loses nothing and
 * sends nothing twice: the next one has the same open files and goes on. What is long past is given back.
 */
import { fstatSync, readSync, writeSync } from 'node:fs';
import { check } from '../../base/errors.js';
import { close } from '../../sys/files.js';
import { createSharedMemory, forgetShared } from '../../sys/shared-memory.js';
import { bytesIn, moveBytes, positionOf, setPosition } from '../../sys/splice.js';

/** Of a pipe, as the kernel makes it. */
const PIECE = 65536;
/** More than can be on its way to somebody who reads it. */
const KEPT = 1 << 20;
const FORGOTTEN_AT_ONCE = 1 << 20;
const STORY = { operation: 'keep standard streams' };

export function makeJournal(): number {
  return check(createSharedMemory('tsoverlay-stream', 0), STORY);
}

/** A terminal is no pipe and no file: its bytes take a pipe on their way, which is kept as well. */
export interface Passage {
  entrance: number;
  exit: number;
}

abstract class Journal {
  #forgotten = 0;

  constructor(
    readonly fd: number,
    protected readonly passage: Passage | undefined,
  ) {}

  /** Gives back what is long before a position. */
  protected forgetBefore(position: number): void {
    const end = position - KEPT;
    if (end - this.#forgotten < FORGOTTEN_AT_ONCE) return;
    forgetShared(this.fd, this.#forgotten, end - this.#forgotten);
    this.#forgotten = end;
  }

  close(): void {
    close(this.fd);
  }
}

/** What a program writes. */
export class OutputJournal extends Journal {
  #end: number;

  constructor(fd: number, passage?: Passage) {
    super(fd, passage);
    this.#end = check(positionOf(fd), STORY);
  }

  /** How many bytes have come since the beginning. */
  get end(): number {
    return this.#end;
  }

  /** Takes what is there in `source`; answers how many bytes, 0 at its end, -EAGAIN where there is nothing, or another errno. */
  take(source: number): number {
    const count = this.passage === undefined ? moveBytes(source, this.fd, PIECE) : this.#takeFrom(source);
    if (count > 0) this.#end += count;
    return count;
  }

  #takeFrom(terminal: number): number {
    const { entrance, exit } = this.passage!;
    const left = moveBytes(exit, this.fd, PIECE);
    if (left > 0) return left;
    const count = moveBytes(terminal, entrance, PIECE);
    return count > 0 ? moveBytes(exit, this.fd, PIECE) : count;
  }

  read(from: number, to: number): Buffer {
    const bytes = Buffer.allocUnsafe(to - from);
    return bytes.subarray(0, readSync(this.fd, bytes, 0, bytes.length, from));
  }

  /** Nobody needs anything before `position` but those to whom it was just sent. */
  settle(position: number): void {
    this.forgetBefore(position);
  }
}

/** What a program is to read. */
export class InputJournal extends Journal {
  #size: number;
  #position: number;

  constructor(fd: number, passage?: Passage) {
    super(fd, passage);
    this.#size = fstatSync(fd).size;
    this.#position = check(positionOf(fd), STORY);
  }

  /** How many bytes were taken on since the beginning. */
  get size(): number {
    return this.#size;
  }

  get waiting(): number {
    return this.#size - this.#position;
  }

  add(bytes: Uint8Array): void {
    for (let done = 0; done < bytes.length; ) {
      const count = writeSync(this.fd, bytes, done, bytes.length - done, this.#size);
      this.#size += count;
      done += count;
    }
  }

  /** Hands on what there is; answers 0 when all of it went, -EAGAIN where the program reads slowly, or another errno. */
  give(target: number): number {
    for (;;) {
      const status = this.passage === undefined ? this.#give(target) : this.#giveTo(target);
      if (status <= 0) return status;
    }
  }

  /** What nobody has read is for nobody. */
  dropRest(): void {
    const { exit } = this.passage ?? {};
    if (exit !== undefined && bytesIn(exit) > 0) readSync(exit, Buffer.alloc(bytesIn(exit)));
    this.#position = check(setPosition(this.fd, this.#size), STORY);
  }

  #give(target: number): number {
    if (this.waiting === 0) return 0;
    const count = moveBytes(this.fd, target, PIECE);
    if (count > 0) this.#position += count;
    this.forgetBefore(this.#position);
    return count;
  }

  #giveTo(terminal: number): number {
    const { entrance, exit } = this.passage!;
    return bytesIn(exit) > 0 ? moveBytes(exit, terminal, PIECE) : this.#give(entrance);
  }
}
