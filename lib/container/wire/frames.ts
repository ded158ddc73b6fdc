// SPDX-License-Identifier: MIT
/**
 * What a container's server and its clients say to each other: frames of one byte
 * for the kind, four for the length (big endian), and the payload.
 */
import type { Duplex } from 'node:stream';

export type StreamName = 'stdin' | 'stdout' | 'stderr';

const KINDS = ['message', 'stdin', 'stdout', 'stderr'] as const;
const HEADER = 5;
/** How long the other side may take to hang up, when everything is said. */
const HANG_UP_MS = 1000;
/** Nobody needs to send more at once. */
const LARGEST = 16 << 20;

export interface FrameHandlers {
  message(value: unknown): void;
  /** An empty piece is the stream's end. */
  bytes?(stream: StreamName, bytes: Buffer): void;
  /** The other side is gone. */
  closed(): void;
}

export class FrameChannel {
  #pending: Buffer = Buffer.alloc(0);
  #closed = false;
  #handlers: FrameHandlers | undefined;

  constructor(private readonly socket: Duplex) {}

  get closed(): boolean {
    return this.#closed;
  }

  /** Begins to hand over what comes, or hands it to others from now on; also an end that has come is told them. */
  listen(handlers: FrameHandlers): void {
    const isNew = this.#handlers === undefined;
    this.#handlers = handlers;
    if (this.#closed) setImmediate(() => handlers.closed());
    if (!isNew) return;
    const close = (): void => {
      if (this.#closed) return;
      this.#closed = true;
      this.#handlers?.closed();
    };
    // It may have ended before anybody listened.
    if (this.socket.destroyed || this.socket.readableEnded) setImmediate(close);
    // What a broken connection says is said by its end.
    this.socket.on('error', () => this.socket.destroy());
    this.socket.on('close', close);
    this.socket.on('end', close);
    this.socket.on('data', (chunk: Buffer) => {
      this.#pending = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk]);
      try {
        this.#take();
      } catch {
        // Nonsense came: whoever sends it is not talked to.
        this.socket.destroy();
      }
    });
  }

  #take(): void {
    while (this.#pending.length >= HEADER) {
      const length = this.#pending.readUInt32BE(1);
      if (length > LARGEST) throw new Error('a frame is too large');
      if (this.#pending.length < HEADER + length) return;
      const kind = KINDS[this.#pending[0]];
      const payload = this.#pending.subarray(HEADER, HEADER + length);
      this.#pending = this.#pending.subarray(HEADER + length);
      if (kind === undefined) throw new Error('a frame of no kind');
      if (kind === 'message') this.#handlers!.message(JSON.parse(payload.toString('utf8')));
      else this.#handlers!.bytes?.(kind, payload);
    }
  }

  /** The other side sends more than can be taken; it is let go on later. */
  setPaused(paused: boolean): void {
    if (paused) this.socket.pause();
    else this.socket.resume();
  }

  send(value: unknown): void {
    this.#write('message', Buffer.from(JSON.stringify(value)));
  }

  /** Answers false where the other side is slow: wait for `drained` before more is sent. */
  sendBytes(stream: StreamName, bytes: Uint8Array): boolean {
    return this.#write(stream, bytes);
  }

  #write(kind: (typeof KINDS)[number], payload: Uint8Array): boolean {
    if (this.#closed || !this.socket.writable) return true;
    const header = Buffer.alloc(HEADER);
    header[0] = KINDS.indexOf(kind);
    header.writeUInt32BE(payload.length, 1);
    this.socket.cork();
    this.socket.write(header);
    const room = this.socket.write(payload);
    this.socket.uncork();
    return room;
  }

  /** Calls back when the other side has taken what was sent, or is gone. */
  drained(callback: () => void): void {
    if (this.#closed || !this.socket.writableNeedDrain) {
      callback();
      return;
    }
    let called = false;
    const once = (): void => {
      if (called) return;
      called = true;
      this.socket.off('drain', once);
      this.socket.off('close', once);
      callback();
    };
    this.socket.on('drain', once);
    this.socket.on('close', once);
  }

  /**
   * Sends what is still to be sent and hangs up; settles when it is gone. The other side is to do that first, when
   * it has heard everything: what it writes to one that is gone would make it deaf to the rest.
   */
  end(): Promise<void> {
    return new Promise((resolve) => {
      if (this.socket.destroyed) {
        resolve();
        return;
      }
      const { closed = () => undefined } = this.#handlers ?? {};
      this.#handlers = { message: () => undefined, closed };
      this.socket.resume();
      let timer: NodeJS.Timeout | undefined;
      this.socket.once('close', () => {
        clearTimeout(timer);
        resolve();
      });
      this.socket.end(() => {
        timer = setTimeout(() => this.socket.destroy(), HANG_UP_MS);
      });
    });
  }

  destroy(): void {
    this.socket.destroy();
  }
}
