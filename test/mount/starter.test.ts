// SPDX-License-Identifier: MIT
/** What a server has of who started it: nothing but what it is given. */
import { mkdirSync, readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { readRecords } from '../../lib/mount/records.js';
import { boxCli, containerOf, PROGRAM, shimOf } from '../support/containers.js';
import { makeLayers, run, scratch, shell } from '../support/ground.js';

/** What somebody may have who starts something: open files, limits, a mask, ignored signals. */
const STARTER = `exec 3>held-3 7> >(cat >/dev/null) 9>held-9 88>held-88 210>held-210; flock 9; flock 210
  umask 077; trap '' INT HUP TERM USR2; echo 500 > /proc/$BASHPID/oom_score_adj
  ulimit -S -n 300; ulimit -S -f 3000; ulimit -S -t 1000; ulimit -S -c 5; ulimit -S -s 4096;`;

const from = (directory: string, command: string): string =>
  run('bash', '-c', `cd ${directory}; ${STARTER} ${command}`);

const statusOf = (pid: number, name: string): string =>
  new RegExp(`^${name}:\\s+(\\S+)`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'latin1'))![1];

function softLimit(pid: number, name: string): number {
  const text = new RegExp(`^${name}\\s+(\\S+)`, 'm').exec(readFileSync(`/proc/${pid}/limits`, 'latin1'))![1];
  return text === 'unlimited' ? Number.POSITIVE_INFINITY : Number(text);
}

function hasNothing(t: Test, pid: number, what: string): void {
  const open = readdirSync(`/proc/${pid}/fd`).map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`));
  t.strictSame(
    open.filter((path) => path.includes('/held-')),
    [],
    `${what}: descriptors`,
  );
  t.equal(statusOf(pid, 'Umask'), '0022', 'umask');
  t.equal(readFileSync(`/proc/${pid}/oom_score_adj`, 'latin1').trim(), '0', 'OOM score');
  for (const [name, least] of [
    ['Max open files', 301],
    ['Max file size', 4_000_000],
    ['Max cpu time', 1001],
    ['Max stack size', 8 << 20],
  ] as const)
    t.ok(softLimit(pid, name) >= least, `${name} ${softLimit(pid, name)}`);
  t.equal(softLimit(pid, 'Max core file size'), 0);
}

function isServer(t: Test, pid: number, what: string): void {
  hasNothing(t, pid, what);
  t.equal(readlinkSync(`/proc/${pid}/cwd`), '/');
  t.equal(run('ps', '-o', 'sid=', '-p', String(pid)).trim(), String(pid), 'its own session');
  // Of those that a starter can ignore, PIPE and XFSZ are.
  t.equal(BigInt(`0x${statusOf(pid, 'SigIgn')}`) & 0x4803n, 0n, 'signals');
}

t.test('the server of a mount and its shim have nothing of who mounted it', async (t) => {
  const base = scratch(t);
  const { lowers, upper, work, target } = makeLayers(base);
  const options = lowers.map((path) => `--lower ${path}`).join(' ');
  from(base, `${PROGRAM} mount ${options} --upper ${upper} --work ${work} ${target}`);
  t.teardown(() => run(PROGRAM, 'unmount', '--detach', target));
  const { serverPid, shimPid } = readRecords().find((record) => record.target === target)!;
  isServer(t, serverPid, 'server');
  hasNothing(t, shimPid!, 'shim');
  run('flock', '-n', join(base, 'held-9'), 'true');
  run('flock', '-n', join(base, 'held-210'), 'true');
  shell(`umask 0; head -c 5000000 /dev/zero > ${target}/large; mkdir ${target}/open`);
  t.equal(statSync(join(target, 'large')).size, 5_000_000, 'a soft limit of its starter cuts nobody’s files');
  t.equal(statSync(join(target, 'open')).mode & 0o777, 0o777, 'nor does its mask');
});

t.test('the server of a container, its shim and its program neither, however it is started', async (t) => {
  const cli = await boxCli(t);
  Object.assign(process.env, cli.environment);
  mkdirSync(join(cli.base, 'mnt'));
  // restart starts its server itself; for run, bin/tsoverlay does.
  for (const command of ['run -d --name c1 box sleep 1000', 'restart -t 0 c1']) {
    from(cli.base, `${PROGRAM} ${command}`);
    const container = await containerOf(cli, 'c1');
    const { serverPid, pid } = container.readWrittenState();
    isServer(t, serverPid, command);
    hasNothing(t, shimOf(container), `${command}: shim`);
    hasNothing(t, pid, `${command}: program`);
    run('flock', '-n', join(cli.base, 'held-210'), 'true');
  }
});

t.test(
  'under a hard limit on the size of files a mount says so where it may not be raised, and a container runs',
  async (t) => {
    const cli = await boxCli(t);
    Object.assign(process.env, cli.environment);
    const { lowers, upper, work, target } = makeLayers(cli.base);
    const mounting = `${PROGRAM} mount --lower ${lowers[0]} --upper ${upper} --work ${work} ${target} 2>&1`;
    const said = run('bash', '-c', `ulimit -f 2000; ${mounting}`);
    t.teardown(() => run(PROGRAM, 'unmount', '--detach', target));
    const isRaised = (BigInt(`0x${statusOf(process.pid, 'CapEff')}`) >> 24n) % 2n === 1n;
    const write = shell(`head -c 5000000 /dev/zero > ${target}/large || true; stat -c %s ${target}/large`);
    if (isRaised) t.match([said, write], ['', '5000000\n']);
    else t.match([said, write], [/larger than 2048000 bytes .* `ulimit -f`/, '2048000\n']);
    t.equal(run('bash', '-c', `ulimit -f 200000; ${PROGRAM} run --rm box echo there`), 'there\n');
  },
);

t.test(
  'what a limit that may not be raised cuts off is answered EFBIG, and nothing half is left',
  async (t) => {
    const layers = makeLayers(scratch(t));
    const { lowers, upper, work, target } = layers;
    shell('head -c 5000000 /dev/zero > large; mkdir d; echo small > d/small', lowers[0]);
    const mounting = `${PROGRAM} mount --lower ${lowers[0]} --upper ${upper} --work ${work} ${target} 2>&1`;
    const without = ['--bounding-set=-sys_resource', '--inh-caps=-sys_resource'];
    const said = run('setpriv', ...without, 'bash', '-c', `ulimit -f 2000; ${mounting}`);
    t.teardown(() => run(PROGRAM, 'unmount', '--detach', target));
    t.match(said, /larger than 2048000 bytes .* `ulimit -f`/);
    for (const change of ['echo x >> large', 'chmod 600 large', 'mv large d/moved', 'ln large d/link'])
      t.match(shell(`{ ${change}; } 2>&1 || true`, target), /File too large/, change);
    t.equal(shell('find . ../work -type f', upper), '', 'no file is in the upper or in the work directory');
    t.equal(
      shell('stat -c "%s %a" large; echo more >> d/small; cat d/small', target),
      '5000000 644\nsmall\nmore\n',
    );
  },
);
