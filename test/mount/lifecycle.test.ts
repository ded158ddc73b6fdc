// SPDX-License-Identifier: MIT
/** A mount from its start to its end, with what can go wrong in between. */
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { askServer } from '../../lib/mount/control.js';
import { MOUNT_MAIN } from '../../lib/mount/mount-shim.js';
import { readRecords, serverOf, shimOf } from '../../lib/mount/records.js';
import { runtimeDirectory } from '../../lib/supervise/runtime-directory.js';
import { Shim } from '../../lib/supervise/shim.js';
import { listMounts, unmountFileSystem } from '../../lib/sys/mounts.js';
import { isAlive } from '../../lib/sys/proc.js';
import { ended, isRunning, makeLayers, mountOurs, run, scratch, shell, until } from '../support/ground.js';
import { recordOf } from '../support/records.js';

function isMounted(target: string): boolean {
  return listMounts().some((mount) => mount.target === target);
}

function ticksOf(pid: number): number {
  const fields = fs.readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1].split(' ');
  return Number(fields[11]) + Number(fields[12]);
}

t.test('SIGTERM and SIGINT write everything out and unmount', async (t) => {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    const layers = makeLayers(scratch(t), 1);
    const { serverPid, target } = await mountOurs(t, layers);
    fs.writeFileSync(join(target, 'f'), Buffer.alloc(5_000_000, 'data'));
    process.kill(serverPid, signal);
    await ended(serverPid);
    t.notOk(isMounted(target), signal);
    t.ok(fs.readFileSync(join(layers.upper, 'f')).equals(Buffer.alloc(5_000_000, 'data')));
  }
});

t.test(
  'SIGTERM while a program uses the mount detaches it, and the server ends with the program',
  async (t) => {
    const layers = makeLayers(scratch(t), 1);
    const { serverPid, target } = await mountOurs(t, layers);
    const user = spawn('sh', ['-c', 'echo ready; read line; echo late > late; cat late'], { cwd: target });
    const output: Buffer[] = [];
    user.stdout.on('data', (chunk: Buffer) => output.push(chunk));
    await until(() => output.length > 0, 'the program to start');
    process.kill(serverPid, 'SIGTERM');
    await until(() => !isMounted(target), 'the mount to be detached');
    t.ok(isRunning(serverPid));
    user.stdin.end('go\n');
    await ended(serverPid);
    t.equal(Buffer.concat(output).toString(), 'ready\nlate\n');
    t.equal(fs.readFileSync(join(layers.upper, 'late'), 'utf8'), 'late\n');
  },
);

t.test('a busy mount refuses to be unmounted and stays', async (t) => {
  const layers = makeLayers(scratch(t), 1);
  const { serverPid, target } = await mountOurs(t, layers);
  const fd = fs.openSync(target, 'r');
  const asked = askServer(serverPid, { command: 'unmount', detach: false });
  await t.rejects(asked, { name: 'OverlayError', operation: 'unmount', path: target, code: 'EBUSY' });
  fs.closeSync(fd);
  t.ok(isMounted(target));
});

t.test('umount(8) ends the server as well, and nothing stays in the list', async (t) => {
  const layers = makeLayers(scratch(t), 1);
  const { serverPid, target } = await mountOurs(t, layers);
  t.ok(readRecords().some((record) => record.serverPid === serverPid && record.target === target));
  run('umount', target);
  await ended(serverPid);
  t.strictSame(
    fs.readdirSync(runtimeDirectory()).filter((name) => name.startsWith(String(serverPid))),
    [],
  );
});

t.test('a mount that umount(8) has just taken away can be mounted again at once', async (t) => {
  const layers = makeLayers(scratch(t), 1);
  const { serverPid, target } = await mountOurs(t, layers);
  process.kill(serverPid, 'SIGSTOP');
  t.teardown(() => isRunning(serverPid) && process.kill(serverPid, 'SIGCONT'));
  // umount(8) would ask for the root's attributes first.
  t.equal(unmountFileSystem(target, 0), 0);
  const again = mountOurs(t, layers);
  // By then it has met the lock of the one before, unless the machine is very slow.
  await Promise.race([again.catch(() => undefined), delay(500)]);
  process.kill(serverPid, 'SIGCONT');
  const { unmount } = await again;
  await ended(serverPid);
  fs.writeFileSync(join(target, 'file'), 'new');
  await unmount();
  t.equal(fs.readFileSync(join(layers.upper, 'file'), 'utf8'), 'new');
});

t.test(
  'a file without a name goes with its mount, though the kernel never says that it was closed',
  async (t) => {
    const layers = makeLayers(scratch(t), 1);
    fs.writeFileSync(join(layers.lowers[0], 'file'), 'old');
    const { serverPid, target } = await mountOurs(t, layers);
    // From now on a close asks nothing and waits for nothing.
    fs.readFileSync(join(target, 'file'));
    const fd = fs.openSync(join(target, 'file'), 'r+');
    fs.writeSync(fd, 'new');
    fs.rmSync(join(target, 'file'));
    const inWork = (): string[] => fs.readdirSync(join(layers.work, 'work'));
    t.equal(inWork().length, 2, 'the file, and the whiteout that others will be links to');
    // What it has not read of the queue is dropped with the connection.
    process.kill(serverPid, 'SIGSTOP');
    t.teardown(() => isRunning(serverPid) && process.kill(serverPid, 'SIGCONT'));
    fs.closeSync(fd);
    t.equal(unmountFileSystem(target, 0), 0);
    process.kill(serverPid, 'SIGCONT');
    await ended(serverPid);
    t.strictSame(inWork(), []);
  },
);

t.test('an idle mount uses no CPU', async (t) => {
  const layers = makeLayers(scratch(t), 1);
  const { serverPid, target } = await mountOurs(t, layers);
  shell('for i in $(seq 100); do echo x > f$i; done', target);
  // The first moments after work belong to it: the writeback, a garbage collection.
  await new Promise((resolve) => setTimeout(resolve, 1500));
  const before = ticksOf(serverPid);
  await new Promise((resolve) => setTimeout(resolve, 3000));
  t.ok(ticksOf(serverPid) - before <= 1, `${ticksOf(serverPid) - before} ticks of 10 ms in 3 s`);
});

t.test('500 layers work, and one more is refused', async (t) => {
  const base = scratch(t);
  const layers = makeLayers(base, 500);
  for (const [index, lower] of layers.lowers.entries()) {
    fs.writeFileSync(join(lower, `only${index}`), String(index));
    fs.writeFileSync(join(lower, 'shared'), String(index));
    fs.mkdirSync(join(lower, 'dir'));
    fs.writeFileSync(join(lower, `dir/f${index}`), '');
  }
  const { target, unmount } = await mountOurs(t, layers);
  t.equal(fs.readFileSync(join(target, 'only499'), 'utf8'), '499');
  t.equal(fs.readFileSync(join(target, 'shared'), 'utf8'), '0');
  t.equal(fs.readdirSync(join(target, 'dir')).length, 500);
  fs.rmSync(join(target, 'dir'), { recursive: true });
  t.notOk(fs.existsSync(join(target, 'dir')));
  await unmount();
  fs.mkdirSync(join(base, 'more'));
  await t.rejects(mountOurs(t, { ...layers, lowers: [...layers.lowers, join(base, 'more')] }), /at most 500/);
});

t.test('inode numbers stay when the kernel has forgotten everything, and when mounted again', async (t) => {
  const layers = makeLayers(scratch(t), 2);
  shell('mkdir -p d/e; touch d/f d/e/g; ln -s f d/l', layers.lowers[1]);
  const list = (): string => shell("find . -printf '%P %i\\n' | sort", layers.target);
  let live = await mountOurs(t, layers);
  const before = list();
  shell('echo x >> d/f; chmod 700 d/e', layers.target);
  t.equal(list(), before, 'after copy-up');
  shell('sync; echo 2 > /proc/sys/vm/drop_caches', layers.target);
  t.equal(list(), before, 'after the kernel forgot them');
  await live.unmount();
  live = await mountOurs(t, layers);
  t.equal(list(), before, 'mounted again');
  await live.unmount();
});

t.test('nodes are let go when the kernel forgets them', async (t) => {
  const layers = makeLayers(scratch(t), 1);
  shell('mkdir d; cd d; seq 1 3000 | xargs touch', layers.lowers[0]);
  const { serverPid, target } = await mountOurs(t, layers);
  shell('ls -l d > /dev/null', target);
  const figures = async (): Promise<number> => {
    const { nodes } = await askServer(serverPid, { command: 'figures' });
    return nodes;
  };
  t.ok((await figures()) > 3000);
  shell('echo 2 > /proc/sys/vm/drop_caches');
  let left = Number.POSITIVE_INFINITY;
  for (let tries = 0; tries < 100 && left > 10; tries++) {
    shell('stat . > /dev/null; sleep 0.05', target);
    left = await figures();
  }
  t.ok(left <= 10, `${left} nodes are left`);
});

t.test('what disappears from a layer under the mount is ESTALE, and everything else goes on', async (t) => {
  const base = scratch(t);
  const layers = makeLayers(base, 2);
  shell('mkdir d; echo 1 > d/f; echo 2 > gone', layers.lowers[0]);
  shell('echo 3 > stays', layers.lowers[1]);
  const { target } = await mountOurs(t, layers);
  t.equal(fs.statSync(join(target, 'gone')).size, 2);
  t.strictSame(fs.readdirSync(join(target, 'd')), ['f']);
  fs.rmSync(layers.lowers[0], { recursive: true });
  for (const name of ['gone', 'd/f']) {
    t.throws(() => shell(`cat ${name}`, target), /Stale file handle/, name);
  }
  t.equal(fs.readFileSync(join(target, 'stays'), 'utf8'), '3\n');
  fs.writeFileSync(join(target, 'new'), 'still works');
  t.equal(fs.readFileSync(join(target, 'new'), 'utf8'), 'still works');
});

t.test('a kill at any moment leaves each file before or after its copy-up', async (t) => {
  const base = scratch(t);
  const layers = makeLayers(base, 1);
  const content = Buffer.alloc(300_000, 'lower');
  for (let index = 0; index < 60; index++) fs.writeFileSync(join(layers.lowers[0], `f${index}`), content);
  for (let round = 0; round < 6; round++) {
    const { killForGood, target } = await mountOurs(t, layers);
    const writer = spawn(
      'sh',
      ['-c', 'while :; do for f in f*; do chmod 600 $f; chmod 644 $f; mv $f $f.x; mv $f.x $f; done; done'],
      {
        cwd: target,
        stdio: 'ignore',
      },
    );
    await new Promise((resolve) => setTimeout(resolve, 60 + round * 35));
    await killForGood();
    writer.kill('SIGKILL');
    run('umount', '-l', target);
    const names = new Set<string>();
    for (const name of fs.readdirSync(layers.upper)) {
      const path = join(layers.upper, name);
      if (!fs.lstatSync(path).isFile()) continue;
      t.ok(fs.readFileSync(path).equals(content), `round ${round}: ${name} is whole`);
      names.add(name);
    }
    const again = await mountOurs(t, layers);
    t.strictSame(fs.readdirSync(join(layers.work, 'work')), [], 'leftovers are cleared at the next mount');
    t.equal(fs.readdirSync(target).length, 60, 'no name is lost or doubled');
    await again.unmount();
  }
});

t.test('mount flags reach the kernel', async (t) => {
  const layers = makeLayers(scratch(t), 1);
  const { target } = await mountOurs(t, layers, { flags: 2 | 4 | 8, source: 'my-source' });
  const line = fs
    .readFileSync('/proc/mounts', 'utf8')
    .split('\n')
    .find((mount) => mount.includes(target))!;
  t.match(line, /^my-source .* fuse\.tsoverlay rw,nosuid,nodev,noexec/);
  fs.copyFileSync('/bin/true', join(target, 'true'));
  t.equal(spawnSync(join(target, 'true')).error?.message.includes('EACCES'), true);
});

t.test('another process with the number of a server is not taken for it', async (t) => {
  const live = await mountOurs(t, makeLayers(scratch(t)));
  const record = recordOf(live.target);
  t.equal(isAlive(serverOf(record)), true);
  t.equal(isAlive(shimOf(record)), true);
  t.equal(isAlive(serverOf({ ...record, serverStart: record.serverStart - 1 })), false);
  t.equal(isAlive(serverOf({ ...record, serverPid: process.pid })), false);
});

t.test('a shim that cannot be replaced goes on with what it held, and no descriptor is lost', async (t) => {
  const reports: string[] = [];
  const state = fs.openSync('/dev/null', 'r');
  t.teardown(() => fs.closeSync(state));
  const holding = { held: { state, descriptors: [] }, number: 0, begin: () => undefined };
  const shim = Shim.start(
    {
      name: '/nowhere',
      successor: { kind: 'mount', main: MOUNT_MAIN },
      report: (text) => reports.push(text),
      holding: () => holding,
    },
    holding,
  );
  t.teardown(() => shim.dismiss());
  const { pid } = shim;
  const descriptors = (): string[] => fs.readdirSync('/proc/self/fd');
  const before = descriptors();
  // Of a descriptor that is not open no process can be given a copy.
  const held = { state: 99_999, descriptors: [] };
  for (let time = 0; time < 3; time++) t.throws(() => shim.hold({ held, number: 1, begin: () => t.fail() }));
  t.strictSame(descriptors(), before);
  t.equal(shim.pid, pid);
  process.kill(pid, 'SIGKILL');
  await until(() => shim.pid !== pid, 'another shim');
  t.ok(isRunning(shim.pid), 'it was started with what was held before');
  t.strictSame(reports, []);
});
