// SPDX-License-Identifier: MIT
/** Processes that are watched by a descriptor. */
import { spawn } from 'node:child_process';
import t from 'tap';
import { close } from '../../lib/sys/files.js';
import { exitOf, hasEnded, openProcess } from '../../lib/sys/processes.js';
import { until } from '../support/ground.js';

t.test('one that runs has not ended, whatever signals come while it is looked at', async (t) => {
  let signals = 0;
  const count = (): void => {
    signals++;
  };
  process.on('SIGIO', count);
  const sleeper = spawn('sleep', ['1000'], { stdio: 'ignore' });
  const sender = spawn('sh', ['-c', 'while kill -IO $0; do :; done', String(process.pid)], {
    stdio: 'ignore',
  });
  const watched = openProcess(sleeper.pid!);
  try {
    while (signals === 0) await new Promise(setImmediate);
    let ends = 0;
    for (const deadline = Date.now() + 1000; Date.now() < deadline; ) ends += hasEnded(watched) ? 1 : 0;
    t.equal(ends, 0);
  } finally {
    const children = [sender, sleeper];
    for (const child of children) child.kill('SIGKILL');
    // libuv has dropped what says so, where its pipe was full of the other signals (readiness.ts).
    await until(() => {
      process.kill(process.pid, 'SIGCHLD');
      return children.every(({ signalCode }) => signalCode !== null);
    }, 'both to end');
    process.off('SIGIO', count);
  }
  t.ok(hasEnded(watched));
  t.equal(exitOf(watched, sleeper.pid!), 137);
  close(watched);
});
