// SPDX-License-Identifier: MIT
/** A container's log: how large it may become, how it is read while it rotates, and what happens where there is no space. */

import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statfsSync,
  statSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import t, { type Test } from 'tap';
import { logOptions } from '../../lib/cli/container/log-options.js';
import { LogWriter } from '../../lib/container/program/log-file.js';
import { LogReader } from '../../lib/container/program/log-reader.js';
import { begin, boxCli, containerOf, lines } from '../support/containers.js';
import { run, scratch, shell, until } from '../support/ground.js';
import type { Cli } from '../support/images.js';

function sizesOf(path: string): Record<string, number> {
  const names = readdirSync(dirname(path)).filter((name) => name.startsWith(basename(path)));
  return Object.fromEntries(names.map((name) => [name, statSync(join(dirname(path), name)).size]));
}

const textOf = (reader: LogReader): string => [...reader.read()].map(({ log }) => log).join('');

t.test('a log has so many files of such a size at most, and is read across them', async (t) => {
  const limits = { maxSize: 2000, maxFiles: 4 };
  const path = join(scratch(t), 'log');
  const writer = new LogWriter(path, limits);
  const follower = new LogReader(path, limits);
  let followed = '';
  for (let number = 1; number <= 500; number++) {
    writer.write('stdout', Buffer.from(`line ${number}\n`));
    // Several rotations lie between two looks.
    if (number % 60 === 0) followed += textOf(follower);
  }
  writer.close();
  t.equal(followed + textOf(follower), lines(500), 'each line once');
  follower.close();
  const sizes = sizesOf(path);
  t.strictSame(Object.keys(sizes), ['log', 'log.1', 'log.2', 'log.3']);
  t.ok(
    Object.values(sizes).every((size) => size > 0 && size <= limits.maxSize),
    JSON.stringify(sizes),
  );
  const reader = new LogReader(path, limits);
  const rest = textOf(reader);
  t.ok(rest.length > 500 && lines(500).endsWith(rest), 'the last ones are there without a gap');
  reader.close();
});

t.test('one write may be longer than a file, and one file be all', async (t) => {
  const path = join(scratch(t), 'log');
  const limits = { maxSize: 1000, maxFiles: 1 };
  const writer = new LogWriter(path, limits);
  writer.write('stdout', Buffer.from(`${lines(300)}${'x'.repeat(3000)}\n`));
  t.strictSame(Object.keys(sizesOf(path)), ['log']);
  t.ok(statSync(path).size > 3000, 'a line is not cut for it');
  writer.write('stdout', Buffer.from('last\n'));
  writer.close();
  const reader = new LogReader(path, limits);
  t.equal(textOf(reader), 'last\n');
  reader.close();
});

t.test('a rotation that was cut short at any step is gone on with, and loses no file', async (t) => {
  const limits = { maxSize: 400, maxFiles: 4 };
  const steps = [
    ['log.2', 'log.3'],
    ['log.1', 'log.2'],
    ['log', 'log.1'],
  ];
  for (let done = 0; done <= steps.length; done++) {
    const path = join(scratch(t), 'log');
    const writer = new LogWriter(path, limits);
    // Five to a file; what the fourth file would lose is lost by the rotation itself.
    writer.write('stdout', Buffer.from(lines(15)));
    writer.close();
    t.strictSame(Object.keys(sizesOf(path)), ['log', 'log.1', 'log.2'], 'three files');
    for (const [from, to] of steps.slice(0, done))
      renameSync(join(dirname(path), from), join(dirname(path), to));
    const next = new LogWriter(path, limits);
    next.write('stdout', Buffer.from('line 16\n'));
    next.close();
    const reader = new LogReader(path, limits);
    t.equal(textOf(reader), lines(16), `after ${done} steps`);
    reader.close();
  }
});

t.test('limits in Docker’s spelling, and what is none', async (t) => {
  const limits = (...texts: string[]) => logOptions('json-file', texts);
  t.equal(limits(), undefined, 'the usual ones');
  t.match(limits('max-file=3'), { maxSize: 20e6, maxFiles: 3 });
  t.match(limits('max-size=10m'), { maxSize: 10e6, maxFiles: 1 }, 'of 1,000, and one file');
  t.match(limits('max-size=1.5 KiB', 'max-file=2', 'max-size=2kb'), { maxSize: 2000, maxFiles: 2 });
  t.match(limits('max-size=-1'), { maxSize: 0 });
  t.match(limits('reserve=1g', 'compress=false', 'mode=blocking'), {
    maxSize: 20e6,
    maxFiles: 5,
    reserve: 1e9,
  });
  t.equal(logOptions('none', []), 'none');
  for (const text of [
    'max-size=',
    'max-size=0',
    'max-size=x',
    'max-size=-2',
    'max-size',
    'max-file=0',
    'max-file=1.5',
  ])
    t.throws(() => limits(text), { name: 'UsageError', message: /--log-opt max-/ }, text);
  for (const text of ['compress=true', 'tag=x', 'mode=non-blocking', 'nonsense'])
    t.throws(() => limits(text), { name: 'UsageError', message: new RegExp(text) }, text);
  t.throws(() => logOptions('syslog', []), { name: 'UsageError', message: /syslog/ });
  t.throws(() => logOptions('none', ['max-size=1m']), { name: 'UsageError' });
});

t.test('logs and logs -f have every line of a container whose log rotates', async (t) => {
  const cli = await boxCli(t);
  // So many files that a follower may be slow.
  const options = ['--log-opt', 'max-size=20k', '--log-opt', 'max-file=40', '--name', 'c1'];
  const script =
    'i=0; while [ $i -lt 2000 ]; do i=$((i+1)); echo line $i; [ $((i % 200)) != 0 ] || sleep 0.1; done';
  await cli.ok('run', '-d', ...options, 'box', 'sh', '-c', script);
  const container = await containerOf(cli, 'c1');
  t.equal(await cli.ok('logs', '-f', 'c1'), lines(2000));
  const sizes = Object.values(sizesOf(container.path('log')));
  t.ok(sizes.length > 6 && sizes.every((size) => size <= 20e3), `${sizes}`);
  t.equal(await cli.ok('logs', 'c1'), lines(2000));
  t.equal(
    await cli.ok('logs', '--tail', '500', 'c1'),
    lines(2000)
      .split(/(?<=\n)/)
      .slice(-500)
      .join(''),
  );
  const format = '{{json .HostConfig.LogConfig}}';
  t.match(JSON.parse(await cli.ok('inspect', '--format', format, 'c1')), {
    Type: 'json-file',
    Config: { 'max-size': '20000', 'max-file': '40' },
  });
});

t.test('without a log nothing is kept, and what it prints still comes', async (t) => {
  const cli = await boxCli(t);
  t.equal(await cli.ok('run', '--name', 'c1', '--log-driver', 'none', 'box', 'echo', 'there'), 'there\n');
  t.match(await cli.run('logs', 'c1'), { status: 1, stderr: /--log-driver none/ });
  t.equal(statSync((await containerOf(cli, 'c1')).path('log')).size, 0);
});

/** A store in memory, in which all but so many bytes are taken until `makeRoom`. */
async function smallStore(
  t: Test,
  left: number,
): Promise<{ cli: Cli; free: () => number; makeRoom: () => void }> {
  const base = scratch(t);
  mkdirSync(join(base, 'small'));
  run('mount', '-t', 'tmpfs', '-o', 'size=64m', 'small', join(base, 'small'));
  t.teardown(() => run('umount', '-l', join(base, 'small')));
  const cli = await boxCli(t, join(base, 'small'));
  const free = (): number => {
    const { bavail, bsize } = statfsSync(cli.base);
    return bavail * bsize;
  };
  const filler = join(cli.base, 'filler');
  shell(`head -c ${free() - left} /dev/zero > ${filler}`);
  return { cli, free, makeRoom: () => rmSync(filler) };
}

t.test('what prints to a store without space waits, says so, and goes on without a loss', async (t) => {
  for (const [reserve, why] of [
    [
      'reserve=8m',
      // How much is still free depends on how much came at once.
      /c1 has to wait .* leaves 7\.6 MiB of the store's file system free, and \d+\.\d MiB are; make room/,
    ],
    ['reserve=0', /c1 has to wait .*ENOSPC/],
  ] as const) {
    const { cli, free, makeRoom } = await smallStore(t, 11e6);
    const count = 200_000;
    const options = ['--log-opt', reserve, '--name', 'c1', 'box', 'seq', `${count}`];
    const numbers = Array.from({ length: count }, (_, index) => `${index + 1}\n`).join('');
    const client = begin(cli, 'run', ...options);
    const [printed, told, end] = [text(client.stdout!), text(client.stderr!), once(client, 'exit')];
    await once(client.stderr!, 'data');
    const container = await containerOf(cli, 'c1');
    t.match(container.readWrittenState(), { status: 'running', error: why }, reserve);
    if (reserve !== 'reserve=0') t.ok(free() > 7.6e6, `${free()} bytes are left free`);
    makeRoom();
    t.strictSame(await end, [0, null]);
    t.match(await told, why, 'who runs it is told');
    t.ok((await printed) === numbers, 'all came');
    t.ok((await cli.ok('logs', 'c1')) === numbers, 'all is in the log, once');
    t.match(container.readWrittenState(), { status: 'exited', error: '' });
    await cli.ok('rm', 'c1');
  }
});

t.test('it can be stopped while it waits, and its last words are kept', async (t) => {
  const { cli, makeRoom } = await smallStore(t, 11e6);
  await cli.ok('run', '-d', '--log-opt', 'reserve=8m', '--name', 'c1', 'box', 'yes');
  const container = await containerOf(cli, 'c1');
  await until(() => container.readWrittenState().error !== '', 'it to wait');
  await cli.ok('stop', '-t', '0', 'c1');
  makeRoom();
  t.match(container.readWrittenState(), { status: 'exited', exitCode: 137, error: '' });
  t.match(await cli.ok('logs', '--tail', '1', 'c1'), /^y\n$/);
  t.notOk(existsSync(`${container.path('log')}.1`));
  t.ok(readFileSync(container.path('log')).length < 11e6);
});
