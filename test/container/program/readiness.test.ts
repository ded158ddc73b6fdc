// SPDX-License-Identifier: MIT
/** Being told that a descriptor is ready, without reading it. */
import { writeSync } from 'node:fs';
import t, { type Test } from 'tap';
import { check } from '../../../lib/base/errors.js';
import { OutputJournal } from '../../../lib/container/program/journal.js';
import { watchReady } from '../../../lib/container/program/readiness.js';
import { makePipe } from '../../../lib/sys/channels.js';
import { close } from '../../../lib/sys/files.js';
import { createSharedMemory } from '../../../lib/sys/shared-memory.js';
import { until } from '../../support/ground.js';

interface Watched {
  entrance: number;
  journal: OutputJournal;
  looks(): number;
  stop(): void;
}

/** A pipe whose bytes are taken whenever there are said to be some. */
function watched(t: Test, stopsAtFirst = false): Watched {
  const [exit, entrance] = check(makePipe(), { operation: 'make a pipe' });
  const journal = new OutputJournal(createSharedMemory('tsoverlay-test', 0));
  let looks = 0;
  const stop = watchReady([exit], () => {
    looks++;
    const count = Math.max(0, journal.take(exit));
    if (count > 0 && stopsAtFirst) stop();
    return count;
  });
  t.teardown(() => {
    stop();
    for (const fd of [exit, entrance]) close(fd);
    journal.close();
  });
  return { entrance, journal, looks: () => looks, stop };
}

/** Nobody looks any more until there is a signal: for longer than the longest pause between two looks. */
async function quiet({ looks }: Watched): Promise<void> {
  let last = -1;
  let rounds = 0;
  await until(() => {
    rounds = looks() === last ? rounds + 1 : 0;
    last = looks();
    return rounds === 5;
  }, 'it to look no more');
}

t.test('what comes is heard, be it one byte after a long silence or much at once', async (t) => {
  const one = watched(t);
  await quiet(one);
  const before = one.looks();
  writeSync(one.entrance, 'x');
  await until(() => one.journal.end === 1, 'the byte');
  t.ok(one.looks() > before);
  await quiet(one);
  for (let sent = 1; sent < 1 << 20; sent += 16384) {
    writeSync(one.entrance, Buffer.alloc(16384));
    await until(() => one.journal.end === sent + 16384, 'all of it');
  }
});

t.test('several are watched at once, and each hears its own', async (t) => {
  const all = Array.from({ length: 5 }, () => watched(t));
  for (const one of all) await quiet(one);
  for (const [index, { entrance }] of all.entries()) writeSync(entrance, 'x'.repeat(index + 1));
  await until(() => all.every(({ journal }, index) => journal.end === index + 1), 'each to have its own');
});

t.test('after the end of the watch nobody looks', async (t) => {
  const one = watched(t);
  const other = watched(t);
  await quiet(one);
  one.stop();
  const before = one.looks();
  writeSync(one.entrance, 'x');
  // When this one is heard, that one would have been.
  writeSync(other.entrance, 'x');
  await until(() => other.journal.end === 1, 'the other');
  t.equal(one.looks(), before);
  t.equal(one.journal.end, 0);
});

t.test('a watch that ends while it looks is over', async (t) => {
  const one = watched(t, true);
  const other = watched(t);
  writeSync(one.entrance, Buffer.alloc(8192));
  await until(() => one.journal.end === 8192, 'the first bytes');
  const before = one.looks();
  writeSync(one.entrance, 'x');
  writeSync(other.entrance, 'x');
  await until(() => other.journal.end === 1, 'the other');
  t.equal(one.looks(), before);
});
