// SPDX-License-Identifier: MIT
/** What a container's server leaves to the next one. */
import t, { type Test } from 'tap';
import { type ContainerManifest, ContainerMemory } from '../../../lib/container/server/container-memory.js';
import { close } from '../../../lib/sys/files.js';
import { createSharedMemory } from '../../../lib/sys/shared-memory.js';

function make(t: Test): ContainerMemory {
  const memory = ContainerMemory.make();
  t.teardown(() => close(memory.fd));
  return memory;
}

const manifest = (held: number): ContainerManifest =>
  ({ root: '/store', id: 'id', lock: 10, held, executions: [] }) as unknown as ContainerManifest;

t.test('the manifest that is read is the one of the shim that counts', async (t) => {
  const memory = make(t);
  memory.writeManifest(1, manifest(1));
  memory.shim = 1;
  t.equal(memory.readManifest().held, 1);
  // Written down before it counts: a server that dies here leaves the former one.
  memory.writeManifest(2, manifest(2));
  t.equal(ContainerMemory.open(memory.fd).readManifest().held, 1);
  memory.shim = 2;
  t.equal(ContainerMemory.open(memory.fd).readManifest().held, 2);
  memory.writeManifest(3, manifest(3));
  t.equal(ContainerMemory.open(memory.fd).readManifest().held, 2);
});

t.test('what else is kept is found by the next server', async (t) => {
  const memory = make(t);
  t.equal(memory.isBound, false);
  memory.isBound = true;
  memory.clients = 3;
  const next = ContainerMemory.open(memory.fd);
  t.equal(next.takeOver(), process.pid);
  t.strictSame([next.isBound, next.clients, next.shim], [true, 3, 0]);
});

t.test('memory of something else is refused', async (t) => {
  const fd = createSharedMemory('tsoverlay-test', 3 << 20);
  t.teardown(() => close(fd));
  t.throws(() => ContainerMemory.open(fd), { name: 'OverlayError', message: /stop it and start it again/ });
});

t.test('a manifest that is too long is refused, and the one that counts stays', async (t) => {
  const memory = make(t);
  memory.writeManifest(1, manifest(1));
  memory.shim = 1;
  const long = { ...manifest(2), id: 'x'.repeat(1 << 20) };
  t.throws(() => memory.writeManifest(2, long), {
    name: 'OverlayError',
    message: /container: it is too long/,
  });
  t.equal(memory.readManifest().held, 1);
});
