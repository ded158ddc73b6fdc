// SPDX-License-Identifier: MIT
/** Where what a program writes goes beside its log: to every client that is attached. */
import type { FrameChannel, StreamName } from '../wire/frames.js';
import type { ServerMessage } from '../wire/protocol.js';

export class Outlet {
  readonly #clients = new Set<FrameChannel>();
  #notice: string | undefined;
  /** Called with the number of clients when it changes. */
  changed: (count: number) => void = () => undefined;

  add(client: FrameChannel): void {
    this.#clients.add(client);
    this.changed(this.size);
    this.#tell(client);
  }

  /** What everybody is to know who is attached or comes later. */
  set notice(text: string | undefined) {
    this.#notice = text;
    for (const client of this.#clients) this.#tell(client);
  }

  #tell(client: FrameChannel): void {
    if (this.#notice === undefined) return;
    client.send({ kind: 'notice', text: this.#notice } satisfies ServerMessage);
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
