// SPDX-License-Identifier: MIT
/** Where what a program writes goes beside its log: to every client that is attached. */
import type { FrameChannel, StreamName } from '../wire/frames.js';
import type { ServerMessage } from '../wire/protocol.js';
import { Gathering } from './gathering.js';
import type { ProgramMemory } from './program-memory.js';

export class Outlet {
  readonly #clients = new Gathering<FrameChannel>();
  #notice: string | undefined;

  /** How many clients there are is noted in `memory`, for the next server. */
  constructor(private readonly memory: Pick<ProgramMemory, 'clients'>) {}

  add(client: FrameChannel): void {
    this.#clients.add(client);
    this.memory.clients = this.#clients.size;
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
    if (this.#clients.delete(client)) this.memory.clients = this.#clients.size;
  }

  /** Settles when there are so many clients, or after so many milliseconds. */
  reached(count: number, longest: number): Promise<void> {
    return this.#clients.reached(count, longest);
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
