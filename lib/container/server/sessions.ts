// SPDX-License-Identifier: MIT
/** The clients of a container's server, and the socket that they come to. */
import { chmodSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { Gathering } from '../program/gathering.js';
import { CLIENTS_RETURN_MS } from '../program/program.js';
import type { ExitCode } from '../runtime/runtime.js';
import { FrameChannel } from '../wire/frames.js';
import { socketPath } from '../wire/protocol.js';
import { ClientSession } from './client-session.js';
import type { ContainerMemory } from './container-memory.js';
import type { ContainerServer } from './server.js';

/**
 * The clients of a server. How many there are outlives it: the next one waits for them before the container
 * ends, as they may have nobody else to hear of it from.
 */
export class Sessions {
  readonly #sessions = new Gathering<ClientSession>();
  /** Of an earlier server. */
  #expected: number;
  #announced: ExitCode | undefined;

  /** Notes there from now on how many there are; what is there says how many will come back. */
  constructor(private readonly memory: ContainerMemory) {
    this.#expected = memory.clients;
  }

  /** Listens to a client. */
  open(server: ContainerServer, channel: FrameChannel): ClientSession {
    const session = new ClientSession(server, channel, () => {
      this.#sessions.delete(session);
      this.#note();
    });
    this.#sessions.add(session);
    this.#note();
    session.listen();
    if (this.#announced !== undefined) session.ending(this.#announced);
    return session;
  }

  #note(): void {
    this.memory.clients = Math.max(this.#sessions.size, this.#expected);
  }

  /** Settles when those are back that an earlier server had, or do not come. */
  async returned(): Promise<void> {
    await this.#sessions.reached(this.#expected, CLIENTS_RETURN_MS);
    this.#expected = 0;
    this.#note();
  }

  /** Tells all of them, and who comes yet, how the container will have ended. */
  announce(code: ExitCode): void {
    this.#announced = code;
    for (const session of this.#sessions) session.ending(code);
  }

  /** Tells all of them how the container has ended. */
  async tell(code: ExitCode): Promise<void> {
    await Promise.all([...this.#sessions].map((session) => session.exited(code)));
  }
}

/** Opens a session for everybody who comes to the container's socket. */
export function listen(server: ContainerServer, sessions: Sessions): Promise<Server> {
  const path = socketPath(server.config.id);
  rmSync(path, { force: true });
  const listener = createServer((socket) => {
    sessions.open(server, new FrameChannel(socket));
  });
  return new Promise((resolve, reject) => {
    listener.once('error', reject);
    listener.listen(path, () => {
      chmodSync(path, 0o600);
      resolve(listener);
    });
  });
}
