// SPDX-License-Identifier: MIT
/** Processes that are watched by a descriptor. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import t from 'tap';
import { close } from '../../lib/sys/files.js';
import { exitOf, hasEnded, openProcess } from '../../lib/sys/processes.js';

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
    for (const until = Date.now() + 1000; Date.now() < until; ) ends += hasEnded(watched) ? 1 : 0;
    t.equal(ends, 0);
  } finally {
    const gone = [once(sender, 'exit'), once(sleeper, 'exit')];
    sender.kill('SIGKILL');
    sleeper.kill('SIGKILL');
    await Promise.all(gone);
    process.off('SIGIO', count);
  }
  t.ok(hasEnded(watched));
  t.equal(exitOf(watched, sleeper.pid!), 137);
  close(watched);
});
