// SPDX-License-Identifier: MIT
/** The control socket of a server. */
import { once } from 'node:events';
import { existsSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import t, { type Test } from 'tap';
import { OverlayError } from '../../lib/base/errors.js';
import {
  askControl,
  closeControl,
  listenControl,
  NoAnswer,
  type Reply,
} from '../../lib/supervise/control.js';
import { prepareRuntimeDirectory } from '../../lib/supervise/runtime-directory.js';
import { removeServerFiles, serverFiles } from '../../lib/supervise/server-files.js';
import { scratch } from '../support/ground.js';

/** This process listens until the test ends. */
async function listen(t: Test, answer: (request: unknown) => Promise<Reply>): Promise<void> {
  const { TSOVERLAY_RUNTIME_DIR } = process.env;
  process.env.TSOVERLAY_RUNTIME_DIR = scratch(t);
  prepareRuntimeDirectory();
  const control = await listenControl(answer);
  t.teardown(async () => {
    await closeControl(control);
    removeServerFiles(process.pid);
    Object.assign(process.env, { TSOVERLAY_RUNTIME_DIR });
  });
}

const ask = (request: unknown, timeout = 5000): Promise<unknown> => askControl(process.pid, request, timeout);

t.test('a request is answered, and the server hears when its client has the answer', async (t) => {
  const sent: unknown[] = [];
  await listen(t, async (request) => ({ value: { of: request }, sent: () => sent.push(request) }));
  t.equal(statSync(serverFiles(process.pid).socket).mode & 0o777, 0o600);
  t.strictSame(await ask({ command: 'x' }), { of: { command: 'x' } });
  t.strictSame(
    await Promise.all([1, 2, 3].map((one) => ask(one))),
    [1, 2, 3].map((of) => ({ of })),
  );
  t.strictSame(sent, [{ command: 'x' }, 1, 2, 3]);
});

t.test('what the server throws is thrown where it was asked', async (t) => {
  await listen(t, async (request) => {
    if (request === 'odd') throw new TypeError('not expected');
    throw new OverlayError({ operation: 'unmount', path: '/m', errno: -16 });
  });
  await t.rejects(ask('busy'), { name: 'OverlayError', code: 'EBUSY', path: '/m', operation: 'unmount' });
  await t.rejects(ask('odd'), { message: 'answer: not expected' });
});

t.test('a server that says nothing, or is not there, gives no answer', async (t) => {
  await listen(t, () => new Promise(() => undefined));
  t.type(await ask('x', 50).catch((failure) => failure), NoAnswer);
  await t.rejects(askControl(1, 'x', 0), { name: 'OverlayError', message: /^ask the server "process 1"/ });
});

t.test('nonsense, and more than a request may have, is hung up on, and others are served', async (t) => {
  await listen(t, async () => ({ value: 1 }));
  for (const nonsense of ['{\n', 'x'.repeat(5000), '\n']) {
    const socket = connect(serverFiles(process.pid).socket);
    const received = text(socket);
    socket.write(nonsense);
    t.equal(await received, '', JSON.stringify(nonsense.slice(0, 9)));
  }
  const gone = connect(serverFiles(process.pid).socket);
  await once(gone, 'connect');
  gone.destroy();
  t.equal(await ask('x'), 1);
  t.ok(existsSync(serverFiles(process.pid).socket));
});
