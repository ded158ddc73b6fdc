// SPDX-License-Identifier: MIT
/** Containers whose server is killed while they end: nobody misses anything, and nothing is left. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { Container } from '../../lib/container/state/containers.js';
import { socketPath } from '../../lib/container/wire/protocol.js';
import { Store } from '../../lib/image/store/store.js';
import { sendSignal } from '../../lib/sys/signals.js';
import {
  begin,
  boxCli,
  COUNT,
  census,
  containerOf,
  killServerOf,
  leftSince,
  lines,
  shimOf,
} from '../support/containers.js';
import { run, until } from '../support/ground.js';
import type { Cli } from '../support/images.js';
import { Random } from '../support/random.js';

const SEED = Number(process.env.CONTAINER_SEED ?? Date.now() % 1e9);
const ROUNDS = Number(process.env.CONTAINER_ROUNDS ?? 10);

/** Returns in the moment in which a process has ended; whoever waits for more than that comes too late. */
function awaitEnd(pid: number): void {
  const deadline = Date.now() + 10_000;
  for (;;) {
    if (Date.now() > deadline) throw new Error(`process ${pid} does not end`);
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
      if (stat.slice(stat.lastIndexOf(')') + 2).startsWith('Z')) return;
    } catch (failure) {
      if (['ENOENT', 'ESRCH'].includes((failure as NodeJS.ErrnoException).code!)) return;
      throw failure;
    }
  }
}

interface Ending {
  container: Container;
  clients: ChildProcess[];
}

/** Whether a process listens at a socket: a path that a killed one has left is not in this list. */
function isListening(path: string): boolean {
  const LISTENS = '00010000';
  const fields = readFileSync('/proc/net/unix', 'utf8')
    .split('\n')
    .map((line) => line.split(/\s+/));
  return fields.some((words) => words.at(-1) === path && words[3] === LISTENS);
}

/** How many connections whoever listens at a socket has accepted: before, one has no inode. */
function connections(path: string): number {
  const CONNECTED = '03';
  const fields = readFileSync('/proc/net/unix', 'utf8')
    .split('\n')
    .map((line) => line.split(/\s+/));
  return fields.filter((words) => words.at(-1) === path && words[5] === CONNECTED && words[6] !== '0').length;
}

t.test('killed at any moment from the first line to the end: nothing is lost, nothing is left', async (t) => {
  const cli = await boxCli(t);
  const random = new Random(SEED);
  t.comment(`seed ${SEED}`);
  const before = census(cli);
  for (let round = 0; round < ROUNDS; round++) {
    const count = 1 + Math.floor(random.fraction() * 60);
    // Its log rotates at each few lines, too.
    const log = ['--log-opt', 'max-size=400', '--log-opt', 'max-file=40'];
    const child = begin(
      cli,
      'run',
      '--name',
      'short',
      ...log,
      'box',
      'sh',
      '-c',
      `${COUNT}; exit 3`,
      String(count),
    );
    let seen = '';
    child.stdout!.setEncoding('utf8').on('data', (part: string) => (seen += part));
    const said = text(child.stderr!);
    const closed = once(child, 'close');
    await once(child.stdout!, 'data');
    const container = await containerOf(cli, 'short');
    await delay(random.fraction() * 120);
    const { serverPid } = container.readWrittenState();
    if (serverPid > 0) sendSignal(serverPid, constants.signals.SIGKILL);
    t.strictSame(
      [await closed, seen, await said],
      [[3, null], lines(count), ''],
      `round ${round}, ${count} lines`,
    );
    t.equal(await cli.ok('logs', 'short'), lines(count));
    t.equal(await cli.ok('inspect', '-f', '{{.State.ExitCode}}', 'short'), '3\n');
    await cli.ok('rm', 'short');
  }
  t.strictSame(await leftSince(before, cli), []);
});

/** Runs one that ends when it is told to, with a client that waits for it, and kills its server meanwhile. */
async function killedAtEnd(
  t: Test,
  cli: Cli,
  kept: string[],
  kill: (ends: Ending) => Promise<void>,
): Promise<void> {
  const script = 'exec 3<>/host/go; echo begun; read word <&3; echo last words; exit 3';
  const words = ['run', ...kept, '-v', `${cli.base}:/host`, '--name', 'short', 'box', 'sh', '-c', script];
  const client = begin(cli, ...words);
  const heard = Promise.all([text(client.stdout!), text(client.stderr!), once(client, 'close')]);
  await once(client.stdout!, 'data');
  const container = await containerOf(cli, 'short');
  const waiter = begin(cli, 'wait', 'short');
  const waited = Promise.all([text(waiter.stdout!), text(waiter.stderr!), once(waiter, 'close')]);
  await until(() => connections(socketPath(container.id)) === 1, 'somebody to wait for it');
  await kill({ container, clients: [client, waiter] });
  t.strictSame(await heard, ['begun\nlast words\n', '', [3, null]], words.slice(0, 2).join(' '));
  t.strictSame(await waited, ['3\n', '', [0, null]], 'wait');
  if (kept.length > 0) t.equal(await cli.ok('ps', '-aq'), '');
  else {
    t.equal(await cli.ok('inspect', '-f', '{{.State.ExitCode}} {{.State.Error}}', 'short'), '3 \n');
    await cli.ok('rm', 'short');
  }
}

t.test('killed while it ends: nobody misses its last words and its exit code, --rm removes it', async (t) => {
  const cli = await boxCli(t);
  run('mkfifo', join(cli.base, 'go'));
  const end = (): void => writeFileSync(join(cli.base, 'go'), 'go\n');
  const random = new Random(SEED);
  t.comment(`seed ${SEED}`);
  const before = census(cli);
  for (const kept of [[], ['--rm']]) {
    for (let round = 0; round < ROUNDS / 5; round++) {
      t.comment('when its shim has just been let go, and nobody would start another server');
      await killedAtEnd(t, cli, kept, async ({ container }) => {
        const { serverPid } = container.readWrittenState();
        const shim = shimOf(container);
        end();
        awaitEnd(shim);
        sendSignal(serverPid, constants.signals.SIGKILL);
      });
      t.comment('at any moment');
      await killedAtEnd(t, cli, kept, async ({ container }) => {
        const { serverPid, pid } = container.readWrittenState();
        end();
        awaitEnd(pid);
        await delay(random.fraction() * 60);
        sendSignal(serverPid, constants.signals.SIGKILL);
      });
    }
    t.comment('while its clients have no time');
    await killedAtEnd(t, cli, kept, async ({ container, clients }) => {
      const { serverPid, pid } = container.readWrittenState();
      for (const client of clients) client.kill('SIGSTOP');
      try {
        end();
        awaitEnd(pid);
        sendSignal(serverPid, constants.signals.SIGKILL);
        await until(() => container.tryReadState()?.serverPid !== serverPid, 'another server');
      } finally {
        for (const client of clients) client.kill('SIGCONT');
      }
    });
  }
  t.strictSame(await leftSince(before, cli), []);
});

t.test('a step of a build that ends after its client and its server were killed is taken away', async (t) => {
  const cli = await boxCli(t);
  await cli.ok('run', '--rm', 'box', 'true');
  const before = census(cli);
  writeFileSync(join(cli.base, 'Dockerfile'), 'FROM box\nRUN sleep 1\n');
  const client = begin(cli, 'build', '--no-cache', '.');
  const closed = once(client, 'exit');
  let step: Container | undefined;
  await until(() => {
    const [id] = readdirSync(join(cli.root, 'containers'));
    step = id === undefined ? undefined : new Container(Store.open(cli.root), id);
    return step?.tryReadState()?.status === 'running';
  }, 'the step to run');
  client.kill('SIGKILL');
  sendSignal(step!.readWrittenState().serverPid, constants.signals.SIGKILL);
  await closed;
  await until(() => !step!.exists, 'the step to be gone', 20_000);
  await cli.ok('run', '--rm', 'box', 'true');
  t.strictSame(await leftSince(before, cli), []);
});

t.test(
  'a client that is stopped while another server begins misses nothing of what comes meanwhile',
  async (t) => {
    const cli = await boxCli(t);
    run('mkfifo', join(cli.base, 'go'));
    const script =
      'exec 3<>/host/go; echo begun; read word <&3; printf x; echo > /host/more; head -c 3999999 /dev/zero | tr "\\0" x';
    const client = begin(
      cli,
      'run',
      '--rm',
      '-v',
      `${cli.base}:/host`,
      '--name',
      'c1',
      'box',
      'sh',
      '-c',
      script,
    );
    const heard = text(client.stdout!);
    await once(client.stdout!, 'data');
    const container = await containerOf(cli, 'c1');
    client.kill('SIGSTOP');
    try {
      await killServerOf(container);
      writeFileSync(join(cli.base, 'go'), 'go\n');
      await until(() => existsSync(join(cli.base, 'more')), 'the program to write');
      await until(() => isListening(socketPath(container.id)), 'the next server to serve');
    } finally {
      client.kill('SIGCONT');
    }
    const words = await heard;
    t.equal(words.length, 'begun\n'.length + 4_000_000);
    t.ok(/^begun\nx+$/.test(words), 'no byte is another one');
  },
);
