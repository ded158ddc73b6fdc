// SPDX-License-Identifier: MIT
/** Finding the server of a container, also while one has ended and the next is not there yet. */
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { OverlayError } from '../../base/errors.js';
import type { Container } from '../state/containers.js';
import { ContainerFailure } from '../state/failure.js';
import { readState } from '../upkeep/recovery.js';
import { FrameChannel } from '../wire/frames.js';
import { socketPath } from '../wire/protocol.js';

/** A new server takes a tenth of a second, on a machine that has time for it. */
const SUCCESSOR_MS = 20_000;
const RETRY_MS = 5;

/** Settles with the way to talk to it. Throws a ContainerFailure where the container does not run. */
export async function connectServer(container: Container, name: string): Promise<FrameChannel> {
  for (const deadline = Date.now() + SUCCESSOR_MS; ; ) {
    const socket = connect(socketPath(container.id));
    const failure = await new Promise<Error | undefined>((resolve) => {
      socket.once('connect', () => resolve(undefined));
      socket.once('error', resolve);
    });
    if (failure === undefined) return new FrameChannel(socket);
    if (!isHeld(container) || Date.now() > deadline) throw notRunning(name, failure);
    await delay(RETRY_MS);
  }
}

/** Whether somebody has the container's lock, which its shim holds as well as its server. */
function isHeld(container: Container): boolean {
  if (!container.exists) return false;
  using lock = container.tryLock();
  return lock === undefined;
}

function notRunning(name: string, cause: unknown): OverlayError {
  return new ContainerFailure({
    operation: 'reach container',
    path: name,
    reason: 'it is not running',
    remedy: `start it with \`tsoverlay start ${name}\``,
    cause,
  });
}

/**
 * How the container's own program has ended, for who has found nobody to ask; undefined where it was lost, or has
 * not begun since `startedBefore` (ISO 8601, as its state has it).
 */
export async function exitCodeOf(container: Container, startedBefore?: string): Promise<number | undefined> {
  if (container.tryReadState() === undefined) return undefined;
  // Its server may have been killed on its last steps: then they are ours.
  const { status, lost, exitCode, startedAt } = await readState(container);
  return status === 'exited' && !lost && startedAt !== startedBefore ? exitCode : undefined;
}
