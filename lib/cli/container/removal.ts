// SPDX-License-Identifier: MIT
/** Taking containers away. */
import { setTimeout as delay } from 'node:timers/promises';
import { OverlayError } from '../../base/errors.js';
import { ContainerClient } from '../../container/server/client.js';
import type { Container } from '../../container/state/containers.js';
import { cleanUp } from '../../container/state/recovery.js';
import { removeContainer } from '../../container/state/removal.js';

const LOCK_TRIES = 500;
const LOCK_WAIT_MS = 10;

/** Removes one that is not running; waits for a server that is about to end. */
export async function discard(container: Container): Promise<void> {
  for (let tries = 0; ; tries++) {
    using lock = container.tryLock();
    if (lock !== undefined) {
      await cleanUp(container);
      await removeContainer(container);
      return;
    }
    if (tries >= LOCK_TRIES) {
      throw new OverlayError({
        operation: 'remove container',
        path: container.id.slice(0, 12),
        reason: 'somebody is using it',
        remedy: 'try again',
      });
    }
    await delay(LOCK_WAIT_MS);
  }
}

/** Ends a running container and waits until its server is gone; nothing where none runs. */
export async function stopContainer(container: Container, name: string, seconds: number): Promise<void> {
  let client: ContainerClient;
  try {
    client = await ContainerClient.connect(container, name);
  } catch (failure) {
    if (!(failure instanceof OverlayError)) throw failure;
    // Its server ended meanwhile, or was killed: there is nothing to be stopped.
    return;
  }
  client.tell({ op: 'stop', seconds });
  await client.exited();
  client.close();
}
