// SPDX-License-Identifier: MIT
/** What a container's server process does: one container, from its start to its end. */
import { chmodSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { OverlayError } from '../../base/errors.js';
import { Store } from '../../image/store.js';
import { prepareRuntimeDirectory, removeServerFiles, sweepServerFiles } from '../../mount/registry.js';
import { retireBridgeLater } from '../network/bridge.js';
import type { ExitCode } from '../runtime/runtime.js';
import type { Stage } from '../stage/stage-process.js';
import { Container } from '../state/containers.js';
import { settleState } from '../state/recovery.js';
import { removeContainer } from '../state/removal.js';
import { ClientSession, failureMessage } from './client-session.js';
import { FrameChannel } from './frames.js';
import { type ClientMessage, type ServerMessage, socketPath } from './protocol.js';
import { ContainerServer } from './server.js';

/** A command that looks at the container holds its lock for a moment. */
const LOCK_TRIES = 100;
const LOCK_WAIT_MS = 10;
/** A network without containers. */
const BRIDGE_STAYS_MS = 1000;

type StartMessage = ClientMessage & { op: 'start' };

export async function serveContainer(stage: Stage | undefined, socket: Socket): Promise<void> {
  const channel = new FrameChannel(socket);
  const request = await firstMessage(channel);
  if (request === undefined) {
    stage?.discard();
    removeServerFiles(process.pid);
    process.exit();
  }
  let store: Store | undefined;
  try {
    store = Store.open(request.root);
    await run(new Container(store, request.id), request, stage, channel);
  } catch (failure) {
    stage?.discard();
    channel.send(failureMessage(failure));
    await channel.end();
    process.exitCode = 1;
  }
  removeServerFiles(process.pid);
  sweepServerFiles();
  if (store !== undefined) await retireBridgeLater(store, BRIDGE_STAYS_MS);
  // Threads and sockets of clients that hang on are nobody's business any more.
  process.exit();
}

/** Nothing else is sent before it is answered. Undefined where whoever started this process has thought better of it. */
function firstMessage(channel: FrameChannel): Promise<StartMessage | undefined> {
  return new Promise((resolve) => {
    channel.listen({
      message: (value) => resolve(value as StartMessage),
      closed: () => resolve(undefined),
    });
  });
}

async function takeLock(container: Container, name: string): Promise<Disposable> {
  for (let tries = 0; tries < LOCK_TRIES; tries++) {
    const lock = container.tryLock();
    if (lock !== undefined) return lock;
    await delay(LOCK_WAIT_MS);
  }
  throw new OverlayError({
    operation: 'start container',
    path: name,
    reason: 'it is running already',
    remedy: `see \`tsoverlay ps\`, or \`tsoverlay restart ${name}\``,
  });
}

/** Clients are told of the end when the lock is free, so that the next command finds it so. */
async function run(
  container: Container,
  request: StartMessage,
  stage: Stage | undefined,
  channel: FrameChannel,
): Promise<void> {
  const sessions = new Set<ClientSession>();
  const code = await runLocked(container, request, stage, channel, sessions);
  await Promise.all([...sessions].map((session) => session.exited(code)));
}

async function runLocked(
  container: Container,
  request: StartMessage,
  stage: Stage | undefined,
  channel: FrameChannel,
  sessions: Set<ClientSession>,
): Promise<ExitCode> {
  const config = container.readConfig();
  using _lock = await takeLock(container, config.name);
  await settleState(container);
  prepareRuntimeDirectory();
  const server = new ContainerServer(container, config, stage);
  const first = new ClientSession(server, channel);
  first.listen();
  if (request.attach) first.attach();
  const stop = (): void => void server.stop(config.options.stopTimeout);
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  await server.start(request.size);
  process.title = `tsoverlay: container ${config.name}`;
  const listener = await listen(container.id, server, sessions);
  sessions.add(first);
  if (request.bound) {
    first.bind();
    if (channel.closed) void server.stop(0);
  }
  channel.send({ kind: 'done' } satisfies ServerMessage);
  const code = await server.ended();
  listener.close();
  rmSync(socketPath(container.id), { force: true });
  // Who would have removed one that is bound is gone.
  if (config.options.autoRemove || (request.bound && channel.closed)) await removeContainer(container);
  return code;
}

function listen(id: string, server: ContainerServer, sessions: Set<ClientSession>): Promise<Server> {
  const path = socketPath(id);
  rmSync(path, { force: true });
  const listener = createServer((socket) => {
    const session = new ClientSession(server, new FrameChannel(socket));
    sessions.add(session);
    socket.on('close', () => sessions.delete(session));
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
