// SPDX-License-Identifier: MIT
/** What proc(5) says of processes. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import {
  commandLineOf,
  hasCapability,
  hasProcess,
  isAlive,
  isInIdMap,
  linkOfProcess,
  processId,
  readProcess,
  residentMemoryOf,
  statOf,
  statusField,
} from '../../lib/sys/proc.js';
import { scratch } from '../support/ground.js';

t.test('a process whose name looks like the rest of its line is read right', async (t) => {
  const odd = join(scratch(t), 'a) Z 1 (b');
  copyFileSync('/bin/sleep', odd);
  const child = spawn(odd, ['1000'], { stdio: 'ignore' });
  await once(child, 'spawn');
  const { pid } = child;
  t.match(statOf(pid!), { name: 'a) Z 1 (b', state: /[RSD]/, parent: process.pid });
  t.equal(hasProcess(pid!), true);
  t.equal(commandLineOf(pid!), `${odd}\x001000\x00`);
  t.ok(residentMemoryOf(pid!) > 4096);
  child.kill('SIGKILL');
  await once(child, 'exit');
  t.equal(statOf(pid!), undefined);
});

t.test('a process is told from a later one with its number', async (t) => {
  const self = processId(process.pid);
  t.equal(isAlive(self), true);
  t.equal(isAlive({ ...self, start: self.start - 1 }), false);
  t.equal(isAlive({ pid: 0, start: 0 }), false);
  const child = spawn('sleep', ['1000'], { stdio: 'ignore' });
  await once(child, 'spawn');
  const id = processId(child.pid!);
  t.equal(isAlive(id), true);
  child.kill('SIGKILL');
  await once(child, 'exit');
  t.equal(isAlive(id), false);
  t.strictSame(processId(child.pid!), { pid: child.pid, start: 0 });
});

t.test('one that has ended and was not waited for is none', async (t) => {
  const parent = spawn('sh', ['-c', 'sh -c "echo \\$\\$" & exec sleep 1000'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const [line] = await once(parent.stdout, 'data');
  const pid = Number(line);
  while (statOf(pid)?.state !== 'Z') await new Promise(setImmediate);
  t.equal(hasProcess(pid), false);
  t.equal(isAlive(processId(pid)), false);
  parent.kill('SIGKILL');
  await once(parent, 'exit');
});

t.test('of a process that is not there everything is empty', async (t) => {
  const none = 2 ** 22 + 1;
  t.equal(readProcess(none, 'status'), '');
  t.equal(linkOfProcess(none, 'ns/user'), '');
  t.equal(statusField(none, 'Uid'), undefined);
  t.equal(hasCapability(none, 21), false);
  t.equal(hasProcess(none), false);
  t.equal(residentMemoryOf(none), 0);
});

t.test('ids are looked for on the side of a map that is meant', async (t) => {
  const map = '         0       1000          1\n         1     100000      65536\n';
  t.equal(isInIdMap(map, 'inner', 0), true);
  t.equal(isInIdMap(map, 'outer', 0), false);
  t.equal(isInIdMap(map, 'outer', 1000), true);
  t.equal(isInIdMap(map, 'inner', 65536), true);
  t.equal(isInIdMap(map, 'inner', 65537), false);
  t.equal(isInIdMap(map, 'outer', 165535), true);
  t.equal(isInIdMap(map, 'outer', 165536), false);
  t.equal(isInIdMap('', 'inner', 0), false);
});
