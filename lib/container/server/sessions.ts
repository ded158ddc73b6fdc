// SPDX-License-Identifier: MIT
/** What each server of a container does, be it the first or a later one: it is there for clients until the end. */
import { chmodSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import type { Store } from '../../image/store.js';
import { removeServerFiles, sweepServerFiles } from '../../mount/registry.js';
import { retireBridgeLater } from '../network/bridge.js';
import type { ExitCode } from '../runtime/runtime.js';
import { removeContainer } from '../state/removal.js';
import { ClientSession } from './client-session.js';
import { FrameChannel } from './frames.js';
import { socketPath } from './protocol.js';
import type { ContainerServer } from './server.js';
import { tidyMemoryLater } from './small-process.js';

/** A network without containers. */
const BRIDGE_STAYS_MS = 1000;

/** The clients of a server. */
export class Sessions {
  readonly #sessions = new Set<ClientSession>();

  add(session: ClientSession): void {
    this.#sessions.add(session);
  }

  remove(session: ClientSession): void {
    this.#sessions.delete(session);
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
  const begun = await begin();
  process.title = `tsoverlay: container ${config.name}`;
  const listener = await listen(container.id, server, sessions);
  begun();
  tidyMemoryLater();
  const code = await server.ended();
  listener.close();
  rmSync(socketPath(container.id), { force: true });
  // Who would have removed one that is bound is gone.
  if (config.options.autoRemove || server.isAbandoned) await removeContainer(container);
  return code;
}

function listen(id: string, server: ContainerServer, sessions: Sessions): Promise<Server> {
  const path = socketPath(id);
  rmSync(path, { force: true });
  const listener = createServer((socket) => {
    const session = new ClientSession(server, new FrameChannel(socket));
    sessions.add(session);
    socket.on('close', () => sessions.remove(session));
    session.listen();
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
