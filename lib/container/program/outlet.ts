// SPDX-License-Identifier: MIT
/** Where what a program writes goes beside its log: to every client that is attached. */
import type { FrameChannel, StreamName } from '../server/frames.js';

export class Outlet {
  readonly #clients = new Set<FrameChannel>();
  /** Called with the number of clients when it changes. */
  changed: (count: number) => void = () => undefined;

  add(client: FrameChannel): void {
    this.#clients.add(client);
    this.changed(this.size);
  }

  remove(client: FrameChannel): void {
    if (this.#clients.delete(client)) this.changed(this.size);
  }

  get size(): number {
    return this.#clients.size;
  }

  /** Answers false where a client is slow. */
  send(stream: StreamName, bytes: Uint8Array): boolean {
    let room = true;
    for (const client of this.#clients) room = client.sendBytes(stream, bytes) && room;
    return room;
  }

  /** Calls back when every client has taken what it was sent, or is gone. */
  drained(callback: () => void): void {
    let waiting = this.#clients.size;
    if (waiting === 0) callback();
    for (const client of this.#clients) {
      client.drained(() => {
        if (--waiting === 0) callback();
      });
    }
  }
}
