// SPDX-License-Identifier: MIT
/** Clients that come back to the next server, as it waits for them. */
import t from 'tap';
import { Gathering } from '../../../lib/container/program/gathering.js';

/** Longer than a test may take. */
const FOR_EVER = 1 << 30;

/** What `promise` has come to when everything that was due is done. */
async function isSettled(promise: Promise<void>): Promise<boolean> {
  const pending = new Promise<false>((resolve) => setImmediate(() => resolve(false)));
  return await Promise.race([promise.then(() => true), pending]);
}

t.test('a gathering is reached by the client that makes it complete, and not before', async (t) => {
  const clients = new Gathering<string>();
  const two = clients.reached(2, FOR_EVER);
  clients.add('first');
  clients.add('first');
  t.notOk(await isSettled(two), 'one that comes twice is one');
  clients.delete('first');
  clients.add('second');
  t.notOk(await isSettled(two), 'one that has left does not count');
  clients.add('third');
  t.ok(await isSettled(two));
  t.strictSame([...clients], ['second', 'third']);
  t.ok(await isSettled(clients.reached(2, FOR_EVER)), 'one that is complete is not waited for');
});

t.test('who does not come is waited for until the time is over', async (t) => {
  const clients = new Gathering<string>();
  clients.add('first');
  await clients.reached(2, 1);
  t.equal(clients.size, 1);
});
