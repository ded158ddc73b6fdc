// SPDX-License-Identifier: MIT
/** What commands do when nobody reads what they write, or when it has no room. */
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import t from 'tap';
import { boxCli, census, leftSince, PROGRAM } from '../support/containers.js';
import { run, scratch, shell, until } from '../support/ground.js';
import type { Cli } from '../support/images.js';

/** Descriptor 8 is a pipe that nobody reads any more. */
const CLOSED = 'mkfifo f$$; exec 9<>f$$ 8>f$$ 9>&-; rm f$$;';

interface Ended {
  status: number | null;
  stderr: string;
}

/** Runs a command line of bash with the program as `$0`. */
async function bash(cli: Cli, script: string): Promise<Ended> {
  const child = spawn('bash', ['--norc', '-c', script, PROGRAM], {
    env: { ...process.env, ...cli.environment },
    cwd: cli.base,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const ended = new Promise<number | null>((resolve) => child.on('close', resolve));
  const stderr = await text(child.stderr);
  return { status: await ended, stderr };
}

const SIGPIPE_STATUS = 128 + 13;

const COMMANDS = [
  'images',
  'images --format json',
  'inspect box',
  'history box',
  'layers box',
  'save box',
  'ps -a',
  'inspect c1',
  'logs c1',
  'logs -f c1',
  'logs -n 5 c1',
  'top c1',
  'stats c1',
  'diff c1',
  'cp c1:/bin -',
  'export c1',
  'attach c1',
  'exec c1 yes',
  'exec -d c1 true; $0 images',
  'run --rm box yes',
  'create box true',
  'tag box again; $0 rmi again',
  'system df',
  '--help',
  'run --help',
  'completion',
  '--version',
];

t.test('a command whose output nobody reads ends as by SIGPIPE, without a word', async (t) => {
  const cli = await boxCli(t);
  await cli.ok(
    'run',
    '-d',
    '--name',
    'c1',
    'box',
    'sh',
    '-c',
    'touch /new; while :; do echo line; sleep 0.01; done',
  );
  await until(() => shell(`cat ${cli.root}/containers/*/log | head -c 9`) !== '', 'something in the log');
  for (const command of COMMANDS) {
    const ended = await bash(cli, `${CLOSED} timeout 30 $0 ${command} >&8`);
    t.strictSame(ended, { status: SIGPIPE_STATUS, stderr: '' }, command);
  }
  for (const command of ['run box no-such-command', 'rmi none', 'ps --wrong', 'logs none']) {
    const { status } = await bash(cli, `${CLOSED} timeout 30 $0 ${command} 2>&8`);
    t.equal(status, SIGPIPE_STATUS, `${command}: standard error`);
  }
});

t.test('what a command has begun is put in order when its output is closed', async (t) => {
  const cli = await boxCli(t);
  const before = census(cli);
  await cli.ok('create', '--name', 'rest', 'box', 'true');
  await bash(cli, `${CLOSED} $0 cp rest:/bin - >&8`);
  await bash(cli, `${CLOSED} $0 export rest >&8`);
  await cli.ok('rm', 'rest');
  writeFileSync(join(cli.base, 'Dockerfile'), 'FROM box\nRUN yes\n');
  for (const progress of ['plain', 'json'])
    t.strictSame(
      await bash(cli, `${CLOSED} timeout 60 $0 build --progress ${progress} . 2>&8`),
      { status: SIGPIPE_STATUS, stderr: '' },
      `build, ${progress}`,
    );
  await bash(cli, `${CLOSED} $0 run --rm --stop-timeout 0 box yes >&8`);
  t.strictSame(await leftSince(before, cli), [], 'a container with --rm is stopped');
  await bash(cli, `${CLOSED} $0 run --name on box yes >&8`);
  t.match(await cli.ok('ps', '--format', '{{.Names}} {{.Status}}'), /^on Up/, 'another one goes on');
});

t.test('a full disk is one line and exit 1', async (t) => {
  const cli = await boxCli(t);
  await cli.ok('run', '-d', '--name', 'c1', 'box', 'sh', '-c', 'while :; do echo line; sleep 1; done');
  for (const command of [
    'images',
    'inspect c1',
    'logs -f c1',
    'exec c1 yes',
    'run --rm --stop-timeout 0 box yes',
    'cp c1:/bin -',
    'export c1',
    'save box',
    '--help',
    'completion',
  ]) {
    const { status, stderr } = await bash(cli, `timeout 30 $0 ${command} >/dev/full`);
    t.match(
      { status, stderr },
      { status: 1, stderr: /^tsoverlay: write to standard output: the disk is full; make room.*\n$/ },
      command,
    );
  }
  t.equal((await bash(cli, 'timeout 30 $0 images >/dev/full 2>&1')).status, 1, 'nowhere to say it either');
  t.equal((await bash(cli, '$0 ps --wrong 2>/dev/full')).status, 2, 'a mistake stays one');
  const left = (): number => readdirSync(join(cli.root, 'containers')).length;
  await until(() => left() === 1, 'the end of the one with --rm');
});

t.test('a write that the disk takes in part only is no success', async (t) => {
  const cli = await boxCli(t);
  const small = scratch(t);
  run('mount', '-o', 'remount,size=64k', small);
  writeFileSync(join(small, 'fill'), '');
  for (const command of ['save box', 'completion; $0 inspect box']) {
    const room = `head -c 60k /dev/zero > ${small}/fill`;
    const { status, stderr } = await bash(cli, `${room}; timeout 30 $0 ${command} >> ${small}/out`);
    const { size } = statSync(join(small, 'out'));
    t.match({ status, stderr }, { status: 1, stderr: /the disk is full/ }, `${command}: ${size} bytes`);
  }
});

t.test('a mount in the foreground serves on when nobody reads what it says', async (t) => {
  const base = scratch(t);
  shell('mkdir lower merged; echo here > lower/file', base);
  const script = `${CLOSED} exec ${PROGRAM} mount -f --json --lower lower merged >&8 2>&8`;
  const server = spawn('bash', ['--norc', '-c', script], { cwd: base, stdio: 'ignore' });
  const ended = new Promise<number | null>((resolve) => server.on('exit', resolve));
  t.teardown(() => void server.kill('SIGKILL'));
  await until(() => readdirSync(join(base, 'merged')).length > 0, 'the mount');
  t.equal(readFileSync(join(base, 'merged/file'), 'utf8'), 'here\n');
  run(PROGRAM, 'unmount', join(base, 'merged'));
  t.equal(await ended, 0);
});
