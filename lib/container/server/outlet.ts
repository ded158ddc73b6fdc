// SPDX-License-Identifier: MIT
/** Where what a program writes goes beside its log: to every client that is attached. */
import type { FrameChannel, StreamName } from './frames.js';

export class Outlet {
  readonly #clients = new Set<FrameChannel>();

  add(client: FrameChannel): void {
    this.#clients.add(client);
  }

  remove(client: FrameChannel): void {
    this.#clients.delete(client);
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
