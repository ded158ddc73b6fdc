// SPDX-License-Identifier: MIT
/** What a container's server process does: one container, from its start to its end. */
import type { Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { OverlayError } from '../../base/errors.js';
import { Store } from '../../image/store/store.js';
import { prepareRuntimeDirectory } from '../../supervise/runtime-directory.js';
import { removeServerFiles } from '../../supervise/server-files.js';
import type { Fd } from '../../sys/files.js';
import type { ExitCode } from '../runtime/runtime.js';
import type { Stage } from '../stage/stage-process.js';
import { Container } from '../state/containers.js';
import { settleState } from '../upkeep/recovery.js';
import { FrameChannel } from '../wire/frames.js';
import type { ClientMessage, ServerMessage } from '../wire/protocol.js';
import { failureMessage } from './client-session.js';
import { ContainerServer } from './server.js';
import { leave, Sessions, serveUntilEnd } from './sessions.js';

/** A command that looks at the container holds its lock for a moment. */
const LOCK_TRIES = 100;
const LOCK_WAIT_MS = 10;

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
  await leave(store);
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

async function takeLock(container: Container, name: string): Promise<Fd> {
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
  const sessions = new Sessions();
  await sessions.tell(await runLocked(container, request, stage, channel, sessions));
}

async function runLocked(
  container: Container,
  { size, bound, attach, typist }: StartMessage,
  stage: Stage | undefined,
  channel: FrameChannel,
  sessions: Sessions,
): Promise<ExitCode> {
  const config = container.readConfig();
  using lock = await takeLock(container, config.name);
  await settleState(container);
  prepareRuntimeDirectory();
  const server = ContainerServer.make(container, config, lock.number);
  const first = sessions.open(server, channel);
  if (attach) first.attach(typist);
  return await serveUntilEnd(server, sessions, async () => {
    await server.start({ size, bound, stage });
    if (bound) {
      first.bind();
      if (channel.closed) server.abandon();
    }
    return () => channel.send({ kind: 'done' } satisfies ServerMessage);
  });
}
