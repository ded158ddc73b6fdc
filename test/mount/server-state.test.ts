// SPDX-License-Identifier: MIT
/** What the server of a mount leaves to the next one. */
import t, { type Test } from 'tap';
import { Opcode } from '../../lib/fuse/abi.js';
import { type Manifest, ServerState } from '../../lib/mount/server-state.js';
import { UPPER } from '../../lib/overlay/layers/layer-watch.js';
import { close } from '../../lib/sys/files.js';
import { createSharedMemory } from '../../lib/sys/shared-memory.js';

function begin(t: Test): { state: ServerState; next(): ServerState } {
  const fd = ServerState.create();
  t.ok(fd >= 0);
  t.teardown(() => close(fd));
  return { state: ServerState.begin(fd), next: () => ServerState.open(fd) };
}

/** As if the message were in hand. */
function take(state: ServerState, opcode: number, unique: number): void {
  state.message.writeUInt32LE(64, 0);
  state.message.writeUInt32LE(opcode, 4);
  state.message.writeUInt32LE(unique, 8);
}

t.test('the next server finds what was agreed, how the mount is made up, and the last process', async (t) => {
  const { state, next } = begin(t);
  t.equal(next().agreement, null);
  const manifest = { config: { target: '/ä' }, descriptors: 5, since: 'now' } as unknown as Manifest;
  state.manifest = manifest;
  t.strictSame(next().manifest, manifest);
  t.equal(next().takeOver(), process.pid);
});

t.test('how often a request was begun is counted, and anew for another one', async (t) => {
  const { state, next } = begin(t);
  // The first server to begin it did not count itself.
  t.equal(state.beginAgain(7, 0), 2);
  t.equal(next().beginAgain(7, 0), 3);
  t.equal(next().beginAgain(7, 1), 2);
  t.equal(next().beginAgain(0xffffffff, 1), 2);
  t.equal(next().beginAgain(0xffffffff, 1), 3);
});

t.test('what is in hand is told from rest, from other requests, and from work between them', async (t) => {
  const { state, next } = begin(t);
  t.equal(state.workInHand, '');
  take(state, Opcode.LOOKUP, 1);
  const first = next().workInHand;
  t.equal(next().workName, 'LOOKUP');
  take(state, Opcode.LOOKUP, 2);
  t.not(next().workInHand, first);
  t.not(next().workInHand, '');
  state.message.writeUInt32LE(0, 0);
  t.equal(next().workInHand, '');
  state.atWork = 'copying';
  t.equal(next().atWork, 'copying');
  t.not(next().workInHand, '');
});

t.test('a server that is stuck says so once, and which layer did not answer', async (t) => {
  const { state, next } = begin(t);
  take(state, Opcode.LOOKUP, 1);
  state.watch.ask(2);
  state.markStuck();
  t.equal(next().takeStuck(), true);
  t.equal(next().takeStuck(), false);
  t.equal(next().watch.isSuspended(2), true);
  t.equal(next().watch.areChangesSuspended, false);
});

t.test('an upper that is stuck in a change is still read', async (t) => {
  const { state, next } = begin(t);
  take(state, Opcode.WRITE, 1);
  state.watch.ask(UPPER);
  state.markStuck();
  t.equal(next().watch.areChangesSuspended, true);
  t.equal(next().watch.isSuspended(UPPER), false);
});

t.test('memory of something else is refused with what to do', async (t) => {
  const fd = createSharedMemory('tsoverlay-test', 64 << 20);
  t.teardown(() => close(fd));
  t.throws(() => ServerState.open(fd), {
    name: 'OverlayError',
    message: /go on with the mount: its state has format 0.*; unmount it and mount it again/,
  });
});
