// SPDX-License-Identifier: MIT
/** Reading through the page cache beside O_DIRECT writes by other processes. */
import { join, resolve } from 'node:path';
import t from 'tap';
import { makeLayers, mountOurs, run, scratch } from '../support/ground.js';

t.test('a buffered read never shows what an asynchronous O_DIRECT write has replaced', async (t) => {
  const layers = makeLayers(scratch(t), 1);
  await mountOurs(t, layers);
  const script = resolve('test/support/grounds/direct_io.py');
  const counts = run('python3', script, join(layers.target, 'f'), '3').trim().split(' ').map(Number);
  const [writes, reads, stale] = counts;
  t.ok(writes > 20 && reads > 20, `${writes} writes, ${reads} reads`);
  t.equal(stale, 0);
});
