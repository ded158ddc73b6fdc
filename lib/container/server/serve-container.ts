// SPDX-License-Identifier: MIT
/** The process of a container's first server: it hears what is asked for, and tells the client where it fails. */
import type { Socket } from 'node:net';
import { Store } from '../../image/store/store.js';
import { removeServerFiles } from '../../supervise/server-files.js';
import type { Stage } from '../stage/stage-process.js';
import { Container } from '../state/containers.js';
import { FrameChannel } from '../wire/frames.js';
import type { StartMessage } from '../wire/protocol.js';
import { failureMessage } from './client-session.js';
import { leave } from './leave.js';
import { live } from './lifecycle.js';

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
    await live({ container: new Container(store, request.id), request, channel, stage });
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
