// SPDX-License-Identifier: MIT
/** Ending containers. */
import { OverlayError } from '../../base/errors.js';
import { ContainerClient } from '../../container/server/client.js';
import { ServerLost } from '../../container/server/starting.js';
import type { Container } from '../../container/state/containers.js';

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
  try {
    await client.exited();
  } catch (failure) {
    // It has ended without anybody who knows how, which is not asked for.
    if (!(failure instanceof ServerLost)) throw failure;
  } finally {
    client.close();
  }
}

/** Asks for an end that nobody waits for, by a connection of its own: what is not read yet would hold up another one. */
export async function leaveStopping(container: Container, name: string, seconds: number): Promise<void> {
  const client = await ContainerClient.connect(container, name);
  client.tell({ op: 'stop', seconds });
  client.close();
}
