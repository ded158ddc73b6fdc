// SPDX-License-Identifier: MIT
/** What is there after many runs that went well and many that did not is what was there before. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import t from 'tap';
import { boxCli, census, leftSince, PROGRAM } from '../support/containers.js';
import { run, scratch, shell } from '../support/ground.js';
import type { Cli } from '../support/images.js';
import { Random } from '../support/random.js';

const RUNS = Number(process.env.CONTAINER_RUNS ?? 50);
const STARTS = Number(process.env.CONTAINER_STARTS ?? 4);
const AT_ONCE = 4;
const SEED = Number(process.env.CONTAINER_SEED ?? Date.now() % 1e9);

/** Runs that end in every way, and the exit code that each must have. */
const KINDS: [args: string[], status: number | null][] = [
  [['box', 'true'], 0],
  [['--network', 'none', 'box', 'sh', '-c', 'echo x > /x; exit 3'], 3],
  [['--init', 'box', 'sh', '-c', 'sleep 100 & exit 0'], 0],
  [['box', 'nosuch'], 127],
  [['-w', '/etc/passwd', 'box', 'true'], 125],
  [['-v', '/no/such/place:/x', 'box', 'true'], 125],
  [['-p', '127.0.0.1:1:1', '-p', '127.0.0.1:1:2', 'box', 'true'], 125],
  [['-u', 'nobody-here', 'box', 'true'], 125],
  [['--storage-driver', 'vfs', '--network', 'host', 'box', 'sh', '-c', 'rm -rf /bin/vi'], 0],
  [['--storage-driver', 'overlay', '--network', 'none', 'box', 'touch', '/y'], 0],
  [['--runtime', 'runc', '--network', 'none', 'box', 'sh', '-c', 'exit 9'], 9],
  [['--runtime', 'runc', 'box', 'nosuch'], 127],
];

/** Starts a run, and ends the command by a signal after a while. */
async function interrupted(cli: Cli, afterMs: number): Promise<void> {
  const child = spawn(
    PROGRAM,
    ['run', '--rm', 'box', 'sh', '-c', 'trap "exit 1" TERM; while :; do sleep 0.05; done'],
    {
      env: { ...process.env, ...cli.environment },
      stdio: 'ignore',
    },
  );
  const exited = new Promise((resolve) => child.on('exit', resolve));
  await new Promise((resolve) => setTimeout(resolve, afterMs));
  child.kill('SIGTERM');
  await exited;
}

t.test(
  `${RUNS} runs leave nothing: no mount, namespace, device, process, group or file`,
  { timeout: 900_000 },
  async (t) => {
    t.comment(`seed ${SEED}`);
    const cli = await boxCli(t);
    const random = new Random(SEED);
    const before = census(cli);
    let left = RUNS;
    const worker = async (): Promise<void> => {
      while (left-- > 0) {
        if (random.fraction() < 0.1) {
          await interrupted(cli, random.fraction() * 1000);
          continue;
        }
        const [args, status] = KINDS[Math.floor(random.fraction() * KINDS.length)];
        const outcome = await cli.run('run', '--rm', ...args);
        t.equal(outcome.status, status, `${args.join(' ')}: ${outcome.stderr}`);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
    // One that was told to end before it knew its container left it to itself.
    const ids = (await cli.ok('ps', '-aq')).split('\n').filter(Boolean);
    if (ids.length > 0) await cli.ok('rm', '-f', ...ids);
    // And what it was just making goes with the next container.
    await cli.ok('run', '--rm', 'box', 'true');
    t.strictSame(await leftSince(before, cli), []);
  },
);

t.test('servers killed at any moment of a start: the container runs, and nothing else is left', async (t) => {
  const cli = await boxCli(t);
  const random = new Random(SEED);
  const before = census(cli);
  // It ends at its first start, and stays at the next one.
  const script = '[ -e /begun ] || { touch /begun; exit 4; }; sleep 1000';
  for (let round = 0; round < 2 * STARTS; round++) {
    const name = `c${round}`;
    const again = round % 2 === 1;
    if (again) t.equal((await cli.run('run', '--name', name, 'box', 'sh', '-c', script)).status, 4);
    const words = again ? ['start', name] : ['run', '-d', '--name', name, 'box', 'sleep', '1000'];
    const starting = cli.run(...words);
    await new Promise((resolve) => setTimeout(resolve, 30 + random.fraction() * 400));
    shell(
      `for p in $(pgrep -f '^[^ ]*node .*server-main.js|^tsoverlay: '); do grep -qz TSOVERLAY_ROOT=${cli.root} /proc/$p/environ && kill -9 $p; done; true`,
    );
    t.match(await starting, { status: 0, stderr: '' }, words.join(' '));
    t.match(await cli.ok('ps', '--format', '{{.Names}} {{.State}}'), `${name} running`, words.join(' '));
    for (const id of (await cli.ok('ps', '-aq')).split('\n').filter(Boolean)) await cli.ok('rm', '-f', id);
  }
  t.strictSame(await leftSince(before, cli), []);
});

t.test('a runtime starts a container while others end and take their control groups away', async (t) => {
  const cli = await boxCli(t);
  const take =
    'const fs = require("fs"); const all = fs.readdirSync("/sys/fs/cgroup"); for (;;) for (const one of all) try { fs.rmdirSync(`/sys/fs/cgroup/${one}/tsoverlay`); } catch {}';
  const taker = spawn(process.execPath, ['-e', take], { stdio: 'ignore' });
  const ended = once(taker, 'exit');
  try {
    const args = ['run', '--rm', '--runtime', 'runc', '--network', 'none', 'box', 'echo', 'started'];
    for (let round = 0; round < 12; round++)
      t.match(await cli.run(...args), { status: 0, stdout: 'started\n', stderr: '' });
  } finally {
    taker.kill('SIGKILL');
    await ended;
  }
});

t.test('a full disk is said, the container ends, and it goes on when there is room', async (t) => {
  const base = scratch(t);
  shell(`mkdir small; mount -t tmpfs -o size=24m tsoverlay-test small`, base);
  t.teardown(() => run('umount', '-l', join(base, 'small')));
  const cli = await boxCli(t, join(base, 'small'));
  const script = 'dd if=/dev/zero of=/big bs=100000 count=1000; echo wrote $?; echo still alive';
  const full = await cli.run('run', '--name', 'full', 'box', 'sh', '-c', script);
  t.match(full, { status: 0, stderr: /No space left on device/, stdout: /wrote 1\nstill alive\n/ });
  t.match(await cli.run('create', 'box', 'true'), {
    status: 125,
    stderr: /no space is left on the device; free some/,
  });
  await cli.ok('rm', 'full');
  t.equal(await cli.ok('run', '--rm', 'box', 'echo', 'again'), 'again\n');
});
