// SPDX-License-Identifier: MIT
/** Containers whose server is killed when their program is about to begin: the next server lets it. */
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { boxCli, census, leftSince } from '../support/containers.js';
import type { Cli } from '../support/images.js';

const DIE = `--require=${new URL('../support/die-before-go-on.cjs', import.meta.url).pathname}`;

/** A command whose server dies at that moment. */
async function cut(t: Test, cli: Cli, name: string, ...words: string[]): ReturnType<Cli['run']> {
  const mark = join(cli.base, `died-${name}`);
  Object.assign(cli.environment, { NODE_OPTIONS: DIE, DIE_ONCE: mark });
  const outcome = await cli.run(...words);
  delete cli.environment.NODE_OPTIONS;
  t.ok(existsSync(mark), 'a server has died');
  return outcome;
}

for (const runtime of ['builtin', 'runc']) {
  t.test(`${runtime}: it runs, with its network and what it writes`, async (t) => {
    const cli = await boxCli(t);
    const before = census(cli);
    const script = 'ip -4 addr show eth0 | grep -o inet; echo said; exec sleep 1000';
    const run = ['run', '-d', '--name', 'c1', '--runtime', runtime, 'box', 'sh', '-c', script];
    t.match(await cut(t, cli, 'run', ...run), { status: 0, stderr: '' });
    t.equal(await cli.ok('ps', '--format', '{{.Names}} {{.State}}'), 'c1 running\n');
    for (let logs = ''; logs !== 'inet\nsaid\n'; ) logs = await cli.ok('logs', 'c1');
    await cli.ok('stop', '-t', '0', 'c1');
    t.match(await cut(t, cli, 'start', 'start', 'c1'), { status: 0, stderr: '' });
    t.equal(await cli.ok('ps', '--format', '{{.Names}} {{.State}}'), 'c1 running\n');
    await cli.ok('rm', '-f', 'c1');
    t.strictSame(await leftSince(before, cli), []);
  });

  t.test(`${runtime}: who waits for its end has all that it wrote and its exit code`, async (t) => {
    const cli = await boxCli(t);
    const run = ['run', '--rm', '--runtime', runtime, 'box', 'sh', '-c', 'echo said; exit 7'];
    t.strictSame(await cut(t, cli, 'run', ...run), { status: 7, stdout: 'said\n', stderr: '' });
  });
}

t.test('a program that is run beside it runs once, and its client has what it writes', async (t) => {
  const cli = await boxCli(t);
  const before = census(cli);
  const mark = join(cli.base, 'died');
  Object.assign(cli.environment, { NODE_OPTIONS: DIE, DIE_ONCE: mark });
  writeFileSync(mark, 'not yet');
  await cli.ok('run', '-d', '--name', 'c1', 'box', 'sleep', '1000');
  delete cli.environment.NODE_OPTIONS;
  rmSync(mark);
  const script = 'echo said; echo once >> /count; exit 7';
  t.strictSame(await cli.run('exec', 'c1', 'sh', '-c', script), { status: 7, stdout: 'said\n', stderr: '' });
  t.ok(existsSync(mark), 'a server has died');
  t.equal(await cli.ok('exec', 'c1', 'cat', '/count'), 'once\n');
  await cli.ok('rm', '-f', 'c1');
  t.strictSame(await leftSince(before, cli), []);
});
