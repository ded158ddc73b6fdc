// SPDX-License-Identifier: MIT
/** What each server of a container does, be it the first or a later one: it is there for clients until the end. */
import { chmodSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { Store } from '../../image/store/store.js';
import { removeServerFiles, sweepServerFiles } from '../../supervise/server-files.js';
import { retireBridgeLater } from '../network/bridge.js';
import type { ExitCode } from '../runtime/runtime.js';
import { FrameChannel } from '../wire/frames.js';
import { socketPath } from '../wire/protocol.js';
import { ClientSession } from './client-session.js';
import type { ContainerMemory } from './container-memory.js';
import type { ContainerServer } from './server.js';
import { tidyMemoryLater } from './small-process.js';

/** How long clients of an earlier server may take to come back. */
const RETURN_MS = 2000;
const RETURN_LOOK_MS = 5;
/** The same for one that the container is bound to. */
const OWNER_RETURN_MS = 5000;
/** A network without containers. */
const BRIDGE_STAYS_MS = 1000;

/**
 * The clients of a server. How many there are outlives it: the next one waits for them before the container
 * ends, as they may have nobody else to hear of it from.
 */
export class Sessions {
  readonly #sessions = new Set<ClientSession>();
  #memory: ContainerMemory | undefined;
  /** Of an earlier server. */
  #expected = 0;
  #announced: ExitCode | undefined;

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

  /** Notes there from now on how many there are; what is there says how many will come back. */
  noteIn(memory: ContainerMemory): void {
    this.#memory = memory;
    this.#expected = memory.clients;
    this.#note();
  }

  #note(): void {
    if (this.#memory !== undefined) this.#memory.clients = Math.max(this.#sessions.size, this.#expected);
  }

  /** Settles when those are back that an earlier server had, or do not come. */
  async returned(): Promise<void> {
    const deadline = Date.now() + RETURN_MS;
    while (this.#sessions.size < this.#expected && Date.now() < deadline) await delay(RETURN_LOOK_MS);
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

/** The caller has the container's lock. `begin` settles when it runs, with what is to be done when clients can come. */
export async function serveUntilEnd(
  server: ContainerServer,
  sessions: Sessions,
  begin: () => Promise<() => void>,
): Promise<ExitCode> {
  const { container, config } = server;
  const stop = (): void => void server.stop(config.options.stopTimeout);
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  sessions.noteIn(server.memory);
  const begun = await begin();
  process.title = `tsoverlay: container ${config.name}`;
  const listener = await listen(container.id, server, sessions);
  const returned = Promise.all([sessions.returned(), ownerReturned(server)]);
  begun();
  tidyMemoryLater();
  const code = await server.ended();
  await returned;
  sessions.announce(code);
  await server.giveBack(code);
  listener.close();
  rmSync(socketPath(container.id), { force: true });
  await server.conclude(code);
  return code;
}

/** One that is bound to a client ends with it, also where the client goes while nobody serves. */
async function ownerReturned(server: ContainerServer): Promise<void> {
  const isOrphan = (): boolean => server.memory.isBound && !server.hasOwner;
  for (const deadline = Date.now() + OWNER_RETURN_MS; isOrphan(); await delay(RETURN_LOOK_MS)) {
    if (Date.now() < deadline) continue;
    server.abandon();
    return;
  }
}

function listen(id: string, server: ContainerServer, sessions: Sessions): Promise<Server> {
  const path = socketPath(id);
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

/** Ends this process, whose container has ended. */
export async function leave(store: Store | undefined): Promise<never> {
  removeServerFiles(process.pid);
  sweepServerFiles();
  if (store !== undefined) await retireBridgeLater(store, BRIDGE_STAYS_MS);
  // Threads and sockets of clients that hang on are nobody's business any more.
  process.exit();
}
