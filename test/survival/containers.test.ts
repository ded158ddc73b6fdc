// SPDX-License-Identifier: MIT
/** Containers whose server is killed: what runs in them, and who is joined to it, goes on with the next one. */
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { buffer, text } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import t, { type Test } from 'tap';
import type { Container } from '../../lib/container/state/containers.js';
import {
  begin,
  boxCli,
  btrfsScratch,
  COUNT,
  census,
  containerOf,
  killServerOf,
  leftSince,
  lines,
  ONE_CGROUP_VERSION,
  PROGRAM,
  shimOf,
  Terminal,
} from '../support/containers.js';
import { run, scratch, shell, until } from '../support/ground.js';
import type { Cli } from '../support/images.js';
import { ordinaryBoxCli } from '../support/ordinary-user.js';
import { recordOf } from '../support/records.js';
import { anotherVersion, upgrade } from '../support/versions.js';

async function stateOf(cli: Cli, name: string): Promise<string> {
  return cli.ok('ps', '-a', '--filter', `name=${name}`, '--format', '{{.State}}');
}

/** Settles with the container when it runs. */
async function running(cli: Cli, name: string): Promise<Container> {
  for (;;) {
    const { status, stdout } = await cli.run('inspect', '-f', '{{.State.Status}}', name);
    if (status === 0 && stdout === 'running\n') return containerOf(cli, name);
    await delay(10);
  }
}

/** Kills its server twice while it counts. */
async function counted(t: Test, cli: Cli, ...options: string[]): Promise<void> {
  const before = census(cli);
  const name = `counted${options.join('')}`.replaceAll('--', '-');
  const script = `${COUNT}; until [ -e /srv/go ]; do sleep 0.05; done; exit 7`;
  await cli.ok('run', '-d', '--name', name, ...options, 'box', 'sh', '-c', script, '1500');
  const container = await containerOf(cli, name);
  const { pid } = container.readWrittenState();
  for (let time = 0; time < 2; time++) await killServerOf(container);
  t.equal(await stateOf(cli, name), 'running\n');
  t.equal(container.readWrittenState().pid, pid, 'the program is the same one');
  t.equal(await cli.ok('exec', name, 'cat', '/etc/hostname'), `${container.id.slice(0, 12)}\n`);
  const waiting = cli.ok('wait', name);
  await cli.ok('exec', name, 'touch', '/srv/go');
  t.equal(await waiting, '7\n', name);
  t.equal(await cli.ok('logs', name), lines(1500), 'each line once');
  await cli.ok('rm', name);
  t.strictSame(await leftSince(before, cli), [], `${name} leaves nothing`);
}

t.test('a program, its log and its exit code survive, by every runtime and storage driver', async (t) => {
  const cli = await boxCli(t);
  await counted(t, cli);
  await counted(t, cli, '--runtime', 'runc');
  await counted(t, cli, '--storage-driver', 'overlay');
  await counted(t, cli, '--storage-driver', 'vfs', '--network', 'none');
  const onBtrfs = await boxCli(t, btrfsScratch(t));
  // The image's tree stays with the image.
  await onBtrfs.ok('run', '--rm', '--storage-driver', 'btrfs', '--network', 'none', 'box', 'true');
  await counted(t, onBtrfs, '--storage-driver', 'btrfs', '--network', 'none');
  const oneVersion = await boxCli(t, scratch(t), ONE_CGROUP_VERSION);
  await counted(t, oneVersion, '--runtime', 'crun', '--network', 'none');
});

t.test('what is piped through it comes out once, whatever is killed meanwhile', async (t) => {
  const cli = await boxCli(t);
  const sent = Buffer.from(shell('head -c 20000000 /dev/urandom | base64 -w 0'));
  for (const words of [
    ['run', '-i', '--name', 'pipe', 'box'],
    ['exec', '-i', 'host'],
  ]) {
    if (words[0] === 'exec') await cli.ok('run', '-d', '--name', 'host', 'box', 'sleep', '1000');
    const child = begin(cli, ...words, 'sh', '-c', 'tee /dev/stderr; exit 5');
    const received = Promise.all([buffer(child.stdout!), buffer(child.stderr!)]);
    const exited = once(child, 'exit');
    const container = await running(cli, words.at(-2) === 'pipe' ? 'pipe' : 'host');
    let kills = 0;
    for (let at = 0; at < sent.length; at += 1 << 20) {
      if (!child.stdin!.write(sent.subarray(at, at + (1 << 20)))) await once(child.stdin!, 'drain');
      if (at % (4 << 20) === 0) {
        await killServerOf(container);
        kills++;
      }
    }
    child.stdin!.end();
    await killServerOf(container);
    const [stdout, stderr] = await received;
    t.ok(kills > 5, `${kills} kills`);
    t.ok(stdout.equals(sent), `${words[0]}: its output, ${stdout.length} of ${sent.length} bytes`);
    t.ok(stderr.equals(sent), `${words[0]}: its errors, ${stderr.length} bytes`);
    t.strictSame(await exited, [5, null]);
  }
});

t.test('a terminal goes on: what is typed, what is shown, its size, and its exit code', async (t) => {
  const cli = await boxCli(t);
  const terminal = new Terminal(t, cli, PROGRAM, 'run', '-it', '--name', 'shell', 'box', 'sh');
  await terminal.shows(/# /);
  const container = await containerOf(cli, 'shell');
  for (let time = 1; time <= 5; time++) {
    terminal.type(`echo before-$((${time} + 100))\n`);
    await terminal.shows(new RegExp(`before-${time + 100}\r\n`));
    const { serverPid } = container.readWrittenState();
    process.kill(serverPid, 'SIGKILL');
    terminal.type(`echo after-$((${time} + 200))\n`);
    const shown = await terminal.shows(new RegExp(`after-${time + 200}\r\n`));
    t.equal(shown.match(/echo after/g)?.length, 1, 'typed once');
    await until(() => container.readWrittenState().serverPid !== serverPid, 'another server');
  }
  terminal.resize(41, 123);
  terminal.type('sleep 0.3; stty size\n');
  await terminal.shows(/41 123\r\n/);
  terminal.type("sh -c 'echo star''ted; exec sleep 1000'\n");
  await terminal.shows(/started\r\n/);
  await killServerOf(container);
  terminal.type('\u0003');
  await terminal.shows(/\^C[\s\S]*# /);
  terminal.type('exit 6\n');
  t.equal(await terminal.exited, 6);
});

t.test('a terminal of a program that is run beside it goes on', async (t) => {
  const cli = await boxCli(t);
  await cli.ok('run', '-d', '--name', 'c1', 'box', 'sleep', '1000');
  const container = await containerOf(cli, 'c1');
  const terminal = new Terminal(t, cli, PROGRAM, 'exec', '-it', 'c1', 'sh');
  await terminal.shows(/# /);
  for (const round of [1, 2]) {
    await killServerOf(container);
    terminal.type(`echo round-$((${round} + 10))\n`);
    await terminal.shows(new RegExp(`round-${round + 10}\r\n`));
  }
  terminal.type('exit 3\n');
  t.equal(await terminal.exited, 3);
});

t.test('what a program says and how it ends while nobody serves it is not lost', async (t) => {
  const cli = await boxCli(t);
  run('mkfifo', join(cli.base, 'go'));
  // Nothing in it needs a file.
  const script = 'exec 3<>/host/go; echo begun; read word <&3; echo last words; exit 42';
  for (const runtime of ['builtin', 'runc']) {
    const options = ['-v', `${cli.base}:/host`, '--name', 'c1', '--runtime', runtime];
    await cli.ok('run', '-d', ...options, 'box', 'sh', '-c', script);
    const container = await containerOf(cli, 'c1');
    await until(() => readFileSync(container.path('log')).length > 0, 'its first line');
    const { serverPid, pid } = container.readWrittenState();
    const shim = shimOf(container);
    process.kill(shim, 'SIGSTOP');
    try {
      process.kill(serverPid, 'SIGKILL');
      writeFileSync(join(cli.base, 'go'), 'go\n');
      await until(() => !existsSync(`/proc/${pid}/exe`), 'the program to end');
    } finally {
      process.kill(shim, 'SIGCONT');
    }
    t.equal(await cli.ok('wait', 'c1'), '42\n', runtime);
    t.equal(await cli.ok('logs', 'c1'), 'begun\nlast words\n');
    await cli.ok('rm', 'c1');
  }
});

t.test('commands that wait, follow or stop go on with the next server', async (t) => {
  const cli = await boxCli(t);
  await cli.ok(
    'run',
    '-d',
    '--name',
    'c1',
    'box',
    'sh',
    '-c',
    'trap "echo bye; exit 4" TERM; echo hello; while :; do sleep 0.05; done',
  );
  const container = await containerOf(cli, 'c1');
  const waiting = cli.run('wait', 'c1');
  const following = cli.run('logs', '-f', 'c1');
  const attached = begin(cli, 'attach', '--no-stdin', 'c1');
  const seen = text(attached.stdout!);
  const left = once(attached, 'exit');
  await until(() => run('pgrep', '-fc', 'attach --no-stdin c').trim() !== '0', 'the commands');
  for (let time = 0; time < 3; time++) await killServerOf(container);
  const { serverPid } = container.readWrittenState();
  process.kill(serverPid, 'SIGKILL');
  t.match(await cli.run('stop', 'c1'), { status: 0, stderr: '' }, 'asked for while nobody answers');
  t.match(await waiting, { status: 0, stdout: '4\n' });
  t.match(await following, { status: 0, stdout: 'hello\nbye\n' });
  t.strictSame(await left, [4, null]);
  t.match(await seen, /bye\n$/);
});

t.test('a paused one stays paused, and a policy starts one again', async (t) => {
  const cli = await boxCli(t);
  await cli.ok('run', '-d', '--name', 'p1', 'box', 'sh', '-c', 'while :; do echo tick; sleep 0.05; done');
  const paused = await containerOf(cli, 'p1');
  await cli.ok('pause', 'p1');
  await killServerOf(paused);
  t.equal(await stateOf(cli, 'p1'), 'paused\n');
  const before = (await cli.ok('logs', 'p1')).length;
  t.equal((await cli.ok('logs', 'p1')).length, before);
  await cli.ok('unpause', 'p1');
  await until(() => readFileSync(paused.path('log')).length > before * 3, 'it to go on');
  const script = 'echo run >> /runs; [ $(wc -l < /runs) -ge 3 ] || exit 1; sleep 1000';
  await cli.ok('run', '-d', '--name', 'again', '--restart', 'on-failure:5', 'box', 'sh', '-c', script);
  const again = await containerOf(cli, 'again');
  await killServerOf(again);
  await until(
    () =>
      existsSync(join(again.path('upper'), 'runs')) &&
      readFileSync(join(again.path('upper'), 'runs'), 'utf8') === 'run\n'.repeat(3),
    'three runs',
  );
  await killServerOf(again);
  t.equal(await stateOf(cli, 'again'), 'running\n');
});

t.test('a published port answers whoever comes while nobody serves', async (t) => {
  const cli = await boxCli(t);
  const script = 'mkdir -p /www; echo page > /www/index.html; exec httpd -f -p 80 -h /www';
  await cli.ok('run', '-d', '--name', 'web', '-p', '127.0.0.1:0:80', 'box', 'sh', '-c', script);
  const port = Number(/:(\d+)$/m.exec(await cli.ok('port', 'web'))![1]);
  const container = await containerOf(cli, 'web');
  const ask = async (): Promise<string> => {
    const socket = connect(port, '127.0.0.1');
    socket.end('GET / HTTP/1.0\r\n\r\n');
    return text(socket);
  };
  await until(() => existsSync(join(container.path('upper'), 'www/index.html')), 'the page');
  t.match(await ask(), /page\n$/);
  for (let time = 0; time < 3; time++) {
    const killed = killServerOf(container);
    t.match(await ask(), /page\n$/);
    await killed;
  }
  t.match(await cli.ok('ps'), `127.0.0.1:${port}->80/tcp`);
});

t.test('a shim that is killed is replaced, by the first server and by later ones', async (t) => {
  const cli = await boxCli(t);
  await cli.ok('run', '-d', '--name', 'kept', 'box', 'sh', '-c', `${COUNT}; sleep 1000`, '1000');
  const container = await containerOf(cli, 'kept');
  for (let round = 0; round < 3; round++) {
    const shim = shimOf(container);
    process.kill(shim, 'SIGKILL');
    await until(() => shimOf(container) !== shim, 'another shim');
    await killServerOf(container);
    t.equal(await cli.ok('exec', 'kept', 'echo', 'there'), 'there\n');
  }
  await until(() => readFileSync(container.path('log'), 'utf8').split('\n').length > 1000, 'all lines');
  t.equal(await cli.ok('logs', 'kept'), lines(1000));
});

t.test('one that ends with its client still does, and one to be removed is', async (t) => {
  const cli = await boxCli(t);
  const before = census(cli);
  const script = 'until [ -e /end ]; do sleep 0.1; done';
  await cli.ok('run', '-d', '--rm', '--name', 'gone', 'box', 'sh', '-c', script);
  const gone = await containerOf(cli, 'gone');
  await killServerOf(gone);
  writeFileSync(`/proc/${gone.readWrittenState().pid}/root/end`, '');
  await until(() => !gone.exists, 'it to be removed');
  t.strictSame(await leftSince(before, cli), []);
});

t.test('a step of a build goes on', async (t) => {
  const cli = await boxCli(t);
  // It counts until the test, after the kills, tells it to end.
  writeFileSync(
    join(cli.base, 'Dockerfile'),
    `FROM box\nRUN i=0; while [ ! -e /end ]; do i=$((i+1)); echo $i >> /all; done; rm /end; echo made\n`,
  );
  const before = census(cli);
  const child = begin(cli, 'build', '--progress', 'plain', '-t', 'made', '.');
  const said = text(child.stderr!);
  const shown = text(child.stdout!);
  const exited = once(child, 'exit');
  const running = (): string =>
    shell(`grep -l '"status": "running"' ${cli.root}/containers/*/state.json 2>/dev/null || true`).trim();
  await until(() => running() !== '' || child.exitCode !== null, 'the step');
  const found = running();
  const state = (): { serverPid?: number; pid: number } => JSON.parse(readFileSync(found, 'utf8'));
  for (let kills = 0; kills < 4; kills++) {
    await until(() => (state().serverPid ?? 0) > 0, 'a server');
    const { serverPid } = state();
    process.kill(serverPid!, 'SIGKILL');
    await until(() => (state().serverPid ?? 0) > 0 && state().serverPid !== serverPid, 'another server');
  }
  writeFileSync(`/proc/${state().pid}/root/end`, '');
  t.strictSame(await exited, [0, null], `${await said}${await shown}`);
  const counted = await cli.ok('run', '--rm', 'made', 'cat', '/all');
  const count = counted.split('\n').length - 1;
  t.ok(count > 0, `it counted to ${count}`);
  t.equal(counted, Array.from({ length: count }, (_, index) => `${index + 1}\n`).join(''));
  t.strictSame(
    (await leftSince(before, cli)).filter((line) => !line.startsWith('file ')),
    [],
  );
});

t.test('a container goes on with another version', async (t) => {
  const cli = await boxCli(t);
  await cli.ok('run', '-d', '--name', 'c1', 'box', 'sh', '-c', `${COUNT}; sleep 1000`, '1500');
  const container = await containerOf(cli, 'c1');
  const newer = anotherVersion(cli.base, '99.0.0');
  const { serverPid } = container.readWrittenState();
  t.match(upgrade(newer, container.path('rootfs')), { status: 0, stdout: /version 99\.0\.0/, stderr: '' });
  await until(() => container.readWrittenState().serverPid !== serverPid, 'another server');
  t.equal(recordOf(container.path('rootfs')).version, '99.0.0');
  t.equal(await cli.ok('exec', 'c1', 'echo', 'there'), 'there\n');
  await until(() => readFileSync(container.path('log'), 'utf8').split('\n').length > 1500, 'all lines');
  t.equal(await cli.ok('logs', 'c1'), lines(1500));
});

t.test('those of an ordinary user go on, with their network', async (t) => {
  const cli = await ordinaryBoxCli(t);
  const { TSOVERLAY_RUNTIME_DIR: before } = process.env;
  process.env.TSOVERLAY_RUNTIME_DIR = cli.environment.TSOVERLAY_RUNTIME_DIR;
  t.teardown(() => Object.assign(process.env, { TSOVERLAY_RUNTIME_DIR: before }));
  const script = `mkdir -p /www; echo page > /www/index.html; httpd -p 80 -h /www; ${COUNT}; sleep 1000`;
  await cli.ok('run', '-d', '--name', 'c1', '-p', '127.0.0.1:0:80', 'box', 'sh', '-c', script, '1500');
  const port = Number(/:(\d+)$/m.exec(await cli.ok('port', 'c1'))![1]);
  const container = await containerOf(cli, 'c1');
  for (let time = 0; time < 4; time++) {
    await killServerOf(container);
    const socket = connect(port, '127.0.0.1');
    socket.end('GET / HTTP/1.0\r\n\r\n');
    t.match(await text(socket), /page\n$/);
  }
  await until(
    () => readFileSync(container.path('log'), 'utf8').split('\n').length > 1500,
    'all lines',
    20_000,
  );
  t.equal(await cli.ok('logs', 'c1'), lines(1500));
  t.equal(await cli.ok('exec', 'c1', 'cat', '/srv/f'), '1500\n');
  await cli.ok('stop', '-t', '0', 'c1');
  t.match(await cli.ok('ps', '-a'), /Exited \(137\)/);
});
