// SPDX-License-Identifier: MIT
/** The runner and support/isolated.sh: what a file leaves is told and taken away, what others do is neither. */
import { type SpawnSyncReturns, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Writable } from 'node:stream';
import t from 'tap';
import { isRunning, run, scratch, shell, until } from './support/ground.js';
import { ISOLATED } from './support/test-file.js';

if (process.env.TSOVERLAY_TEST_ISOLATED === undefined)
  throw new Error('it would change /usr/local of this machine: run it with make test-one T=runner');

function isolated(script: string): SpawnSyncReturns<string> {
  return spawnSync('sh', [ISOLATED, 'bash', '-ec', script], { encoding: 'utf8' });
}

/** Scratch directories of isolated.sh, and control groups of that name. */
function traces(): string[] {
  const directories = readdirSync(tmpdir()).filter((name) => name.startsWith('tsoverlay-tests-'));
  return [
    ...directories,
    ...shell("find /sys/fs/cgroup -name 'tsoverlay-tests-*'").split('\n').filter(Boolean),
  ];
}

const LEAVINGS: [what: string, script: string, told: RegExp][] = [
  ['a file', 'touch /tmp/f', /^# left behind: file \/tmp\/f$/m],
  [
    'a directory of the system',
    'mkdir /var/lib/tsoverlay-left',
    /^# left behind: file \/var\/lib\/tsoverlay-left$/m,
  ],
  ['a changed file', 'echo >> /etc/services', /^# left behind: file \/etc\/services$/m],
  ['a mount', 'mkdir /run/m; mount -t tmpfs none /run/m', /^# left behind: mount \/run\/m$/m],
  ['a process', 'setsid sleep 987654 > /dev/null 2>&1 &', /^# left behind: process sleep 987654/m],
  ['a network device', 'ip link add left0 type bridge', /^# left behind: network device left0$/m],
  [
    'a control group',
    'for d in /sys/fs/cgroup /sys/fs/cgroup/*; do mkdir $d/left 2> /dev/null || true; done',
    /^# left behind: control group .*\/left$/m,
  ],
];

t.test('what a test leaves behind is told, fails it, and is taken away', async (t) => {
  const before = traces();
  for (const [what, script, told] of LEAVINGS) {
    const { status, stdout } = isolated(script);
    t.match(stdout, told, what);
    t.equal(status, 1, what);
  }
  t.strictSame(traces(), before);
  t.notOk(existsSync('/tmp/f') || existsSync('/run/m') || existsSync('/var/lib/tsoverlay-left'));
  t.equal(shell('pgrep -fx "sleep 987654" || true; ip -o link | grep left0 || true'), '');
});

t.test('a test that leaves nothing ends with its own status', async (t) => {
  t.match(isolated('exit 7'), { status: 7, stdout: '' });
  t.match(isolated('touch /tmp/f /etc/f; rm /tmp/f /etc/f'), { status: 0, stdout: '', stderr: '' });
});

t.test('what others have and do is neither seen nor counted', async (t) => {
  const base = scratch(t);
  writeFileSync('/usr/local/bin/tsoverlay-busy', '');
  t.teardown(() => rmSync('/usr/local/bin/tsoverlay-busy'));
  const child = spawn(
    'sh',
    [
      ISOLATED,
      'bash',
      '-ec',
      'read <&3; find /tmp -mindepth 1 -path "$PWD" -prune -o -type f -print -o -type d -name "tso*" -print; pgrep sleep || true; ls /sys/class/net',
    ],
    {
      stdio: ['ignore', 'pipe', 'inherit', 'pipe'],
    },
  );
  const other = spawn('sleep', ['1000']);
  t.teardown(() => other.kill('SIGKILL'));
  mkdirSync(join(base, 'm'));
  run('mount', '-t', 'tmpfs', 'tsoverlay-test', join(base, 'm'));
  t.teardown(() => run('umount', join(base, 'm')));
  run('ip', 'link', 'add', 'busy0', 'type', 'bridge');
  t.teardown(() => run('ip', 'link', 'del', 'busy0'));
  let output = '';
  child.stdout!.on('data', (text) => {
    output += text;
  });
  (child.stdio[3] as Writable).end('\n');
  t.equal(await new Promise((resolve) => child.on('close', resolve)), 0);
  t.equal(output, 'lo\n');
});

t.test('isolated.sh that is ended takes everything with it', async (t) => {
  const before = traces();
  const child = spawn('sh', [ISOLATED, 'bash', '-ec', 'sleep 987653 & echo; wait'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  await new Promise((resolve) => child.stdout.once('data', resolve));
  child.kill('SIGTERM');
  await new Promise((resolve) => child.on('exit', resolve));
  t.notOk(isRunning(child.pid!));
  await until(() => spawnSync('pgrep', ['-fx', 'sleep 987653']).status === 1, 'the program to end');
  t.strictSame(traces(), before);
});

t.test('the runner fails where no test matches and where a file ends early', async (t) => {
  const base = scratch(t);
  const runner = join(process.cwd(), 'dist/test/run.js');
  const start = (part: string, environment = {}): SpawnSyncReturns<string> =>
    spawnSync(process.execPath, [runner, part], {
      encoding: 'utf8',
      env: { ...process.env, TEST_REPORT: join(base, 'report'), ...environment },
    });
  t.match(start('no/such'), { status: 1, stderr: /no test matches/ });
  // The file cannot even be loaded.
  t.match(start('base', { NODE_OPTIONS: '--require=/no/such' }).status, 1);
  t.match(start('base'), { status: 0, stdout: /^\d+ passed, 0 failed$/m });
});

t.test('two copies of the tests pass beside mounts, containers and an installed tsoverlay', async (t) => {
  const { status, stdout, stderr } = spawnSync('sh', ['test/support/busy.sh', 'drop-in/mount-helper'], {
    encoding: 'utf8',
  });
  t.equal(status, 0, stdout + stderr);
  t.match(stdout, /copy 1:\n\d+ passed, 0 failed\ncopy 2:\n\d+ passed, 0 failed\nmeanwhile \d+ rounds/);
});
