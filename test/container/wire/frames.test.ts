// SPDX-License-Identifier: MIT
/** The channel between a client and a container's server. */
import { Duplex } from 'node:stream';
import t from 'tap';
import { FrameChannel } from '../../../lib/container/wire/frames.js';

t.test('who listens to a channel that has closed for others is told', async (t) => {
  const socket = new Duplex({ read: () => undefined, write: (_chunk, _encoding, done) => done() });
  const channel = new FrameChannel(socket);
  const message = (): void => void t.fail('nothing was sent');
  const first = new Promise<void>((closed) => channel.listen({ message, closed }));
  socket.destroy();
  await first;
  t.ok(channel.closed);
  await new Promise<void>((closed) => channel.listen({ message, closed }));
});
