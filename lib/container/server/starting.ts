// SPDX-License-Identifier: MIT
/** Starting a container's server, again where it ends before the container's program is there. */
import { ServerProcess } from '../../supervise/spawn.js';
import type { Container } from '../state/containers.js';
import { ContainerFailure } from '../state/failure.js';
import { FrameChannel } from '../wire/frames.js';
import { CONTAINER_MAIN, SMALL_PROCESS_ENVIRONMENT, SMALL_PROCESS_FLAGS } from './small-process.js';

const START_TRIES = 5;

let prepared: ServerProcess | undefined;

/** Starts a server that waits for its container, so that it and the command that asks start side by side. */
export function prepareContainerServer(): void {
  prepared ??= startServer();
}

/** Ends a prepared server that nobody asked for anything. */
export async function discardPreparedContainerServer(): Promise<void> {
  const server = prepared;
  prepared = undefined;
  await server?.discard();
}

function startServer(): ServerProcess {
  const small = { flags: SMALL_PROCESS_FLAGS, environment: SMALL_PROCESS_ENVIRONMENT };
  return ServerProcess.started() ?? ServerProcess.start(CONTAINER_MAIN, small);
}

/** Starts a server, or takes the prepared one. Throws ServerLost. */
export async function openServer(name: string): Promise<FrameChannel> {
  const server = prepared ?? startServer();
  prepared = undefined;
  server.leave();
  try {
    return new FrameChannel(await server.channel);
  } catch (cause) {
    throw new ServerLost(name, cause);
  }
}

/** A server that is gone, and no other in its place. */
export class ServerLost extends ContainerFailure {
  constructor(name: string, cause?: unknown) {
    super({
      operation: 'talk to container',
      path: name,
      reason: 'its server is gone',
      remedy: `see \`tsoverlay ps -a\`, and start it again with \`tsoverlay start ${name}\``,
      cause,
    });
  }
}

/** Does `start`, and again when the server is lost before the container's program may have done anything. */
export async function startAnew<T>(container: Container, start: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await start();
    } catch (failure) {
      if (!(failure instanceof ServerLost)) throw failure;
      if (tries === START_TRIES || hasBegun(container)) throw failure.cause ?? failure;
    }
  }
}

function hasBegun(container: Container): boolean {
  if (!container.exists) return true;
  const { status } = container.readWrittenState();
  return status === 'running' || status === 'paused';
}
