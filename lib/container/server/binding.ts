// SPDX-License-Identifier: MIT
/** A container that is bound to the client that has started it ends with that client, and is removed. */
import { Gathering } from '../program/gathering.js';
import type { ContainerMemory } from './container-memory.js';

/** How long that client may take to come back to the next server. */
const OWNER_RETURN_MS = 5000;

export class Binding {
  readonly #owners = new Gathering<unknown>();
  #isAbandoned = false;

  /** Whether there is such a client is in the memory, as it may go while nobody serves. */
  constructor(
    private readonly memory: ContainerMemory,
    private readonly stop: () => void,
  ) {}

  get isAbandoned(): boolean {
    return this.#isAbandoned;
  }

  /** The client is there. */
  bind(client: unknown): void {
    this.#owners.add(client);
  }

  /** The client has gone. */
  abandon(): void {
    this.#isAbandoned = true;
    this.stop();
  }

  /** Settles when the client is there that an earlier server had; when it does not come back the container is abandoned. */
  async returned(): Promise<void> {
    if (!this.memory.isBound) return;
    await this.#owners.reached(1, OWNER_RETURN_MS);
    if (this.#owners.size === 0) this.abandon();
  }
}
