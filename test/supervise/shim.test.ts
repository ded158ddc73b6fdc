// SPDX-License-Identifier: MIT
/** The shim: what it costs, what it does when it is killed itself, and upgrades. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import * as fs from 'node:fs';
import { join, resolve } from 'node:path';
import t from 'tap';
import { readRecords } from '../../lib/mount/records.js';
import { hasProcess } from '../../lib/sys/proc.js';
import { killForGood, makeLayers, mountOurs, run, scratch, shell, until } from '../support/ground.js';
import { figuresOf, recordOf } from '../support/records.js';
import { anotherVersion, upgrade } from '../support/versions.js';

/** Kills the server, and settles when another one is in its place. */
async function killServer(target: string): Promise<void> {
  const { serverPid } = recordOf(target);
  process.kill(serverPid, 'SIGKILL');
  await until(() => recordOf(target).serverPid !== serverPid, 'another server');
}

t.test('the shim is small, and it is told what it is', async (t) => {
  const { target } = await mountOurs(t, makeLayers(scratch(t), 1));
  const { shimPid } = recordOf(target);
  t.ok(hasProcess(shimPid!));
  const { shimMemory } = await figuresOf(target);
  t.ok(shimMemory > 0 && shimMemory < 4 << 20, `${shimMemory} bytes`);
});

t.test('the shim goes with the mount', async (t) => {
  const layers = makeLayers(scratch(t), 1);
  for (const times of [0, 1, 3]) {
    const { target, unmount } = await mountOurs(t, layers);
    for (let time = 0; time < times; time++) await killServer(target);
    const { shimPid, serverPid } = recordOf(target);
    await unmount();
    t.notOk(hasProcess(shimPid!), `after ${times} kills`);
    t.strictSame(
      fs.readdirSync(process.env.TSOVERLAY_RUNTIME_DIR!).filter((name) => name.startsWith(`${serverPid}.`)),
      [],
    );
    t.strictSame(fs.readdirSync(join(layers.work, 'work')), []);
  }
});

t.test('a mount is in the list while its record goes from one server to the next', async (t) => {
  const directory = scratch(t);
  const { TSOVERLAY_RUNTIME_DIR } = process.env;
  process.env.TSOVERLAY_RUNTIME_DIR = directory;
  t.teardown(() => Object.assign(process.env, { TSOVERLAY_RUNTIME_DIR }));
  // What counts is that its target is a mount.
  fs.writeFileSync(join(directory, '1000001.json'), JSON.stringify({ target: '/', serverPid: 1000001 }));
  const move =
    'const { renameSync } = require("fs"); for (;;) { renameSync("1000001.json", "1000002.json"); renameSync("1000002.json", "1000001.json"); }';
  const mover = spawn(process.execPath, ['-e', move], { cwd: directory, stdio: 'ignore' });
  const ended = once(mover, 'exit');
  try {
    await until(() => fs.existsSync(join(directory, '1000002.json')), 'the record to move');
    let missed = 0;
    for (let time = 0; time < 1000; time++) if (readRecords().length !== 1) missed++;
    t.equal(missed, 0);
  } finally {
    mover.kill('SIGKILL');
    await ended;
  }
});

t.test('a shim that is killed is replaced, by the first server and by later ones', async (t) => {
  const { target } = await mountOurs(t, makeLayers(scratch(t), 1));
  for (const round of [1, 2, 3]) {
    const { shimPid } = recordOf(target);
    process.kill(shimPid!, 'SIGKILL');
    await until(() => recordOf(target).shimPid !== shimPid, 'another shim');
    fs.writeFileSync(join(target, 'f'), String(round));
    await killServer(target);
    t.equal(fs.readFileSync(join(target, 'f'), 'utf8'), String(round));
  }
});

t.test('when both are killed at once the mount is dead, and can be unmounted', async (t) => {
  const layers = makeLayers(scratch(t), 1);
  const { target, serverPid } = await mountOurs(t, layers);
  fs.writeFileSync(join(target, 'f'), 'x');
  await killForGood(serverPid);
  t.throws(() => fs.readdirSync(target), { code: 'ENOTCONN' });
  run('umount', '-l', target);
  const again = await mountOurs(t, layers);
  t.equal(fs.readFileSync(join(target, 'f'), 'utf8'), 'x');
  await again.unmount();
});

t.test('a directory is read on by the next server: what stays is seen once', async (t) => {
  const layers = makeLayers(scratch(t), 2);
  shell('for i in $(seq 700); do : > lower$i; done', layers.lowers[0]);
  shell('for i in $(seq 300 900); do : > lower$i; : > below$i; done', layers.lowers[1]);
  const { target } = await mountOurs(t, layers);
  shell('for i in $(seq 700); do : > upper$i; done; rm lower5*', target);
  const stays = new Set(fs.readdirSync(target).filter((name) => !/[37]$/.test(name)));
  const seen: string[] = [];
  const directory = fs.opendirSync(target, { bufferSize: 32 });
  for (let entry = directory.readSync(); entry !== null; entry = directory.readSync()) {
    seen.push(entry.name);
    if (seen.length === 50) shell('rm *3; for i in $(seq 400); do : > new$i; done', target);
    if (seen.length % 150 === 0) await killServer(target);
    if (seen.length === 900) shell('rm *7; for i in 50 51 52; do : > lower$i; done', target);
  }
  directory.closeSync();
  const counted = seen.filter((name) => stays.has(name));
  t.equal(new Set(counted).size, counted.length, 'nothing twice');
  t.strictSame(
    [...stays].filter((name) => !counted.includes(name)),
    [],
    'nothing left out',
  );
});

t.test('what the kernel counts is let go after kills, and descriptors stay few', async (t) => {
  const layers = makeLayers(scratch(t), 1);
  shell('mkdir d; cd d; for i in $(seq 2000); do : > f$i; done', layers.lowers[0]);
  const { target } = await mountOurs(t, layers);
  for (let round = 0; round < 5; round++) {
    shell('ls -lR > /dev/null; echo x > g; rm g', target);
    await killServer(target);
  }
  shell('sync; echo 2 > /proc/sys/vm/drop_caches');
  let nodes = Number.POSITIVE_INFINITY;
  for (let tries = 0; tries < 100 && nodes > 10; tries++) {
    shell('stat . > /dev/null; sleep 0.05', target);
    ({ nodes } = await figuresOf(target));
  }
  t.ok(nodes <= 10, `${nodes} nodes`);
  const { serverPid } = recordOf(target);
  t.ok(fs.readdirSync(`/proc/${serverPid}/fd`).length < 80);
});

t.test('a mount goes on with another version, and those who use it do not notice', async (t) => {
  const base = scratch(t);
  const { target } = await mountOurs(t, makeLayers(base, 1));
  const fd = fs.openSync(join(target, 'open'), 'w+');
  fs.writeSync(fd, 'before');
  fs.rmSync(join(target, 'open'));
  const newer = anotherVersion(base, '99.0.0');
  const done = upgrade(newer, target);
  t.match(done, { status: 0, stderr: '' });
  t.match(done.stdout, /version 99\.0\.0, served by process \d+/);
  t.equal(recordOf(target).version, '99.0.0');
  const content = Buffer.alloc(6);
  fs.readSync(fd, content, 0, 6, 0);
  fs.closeSync(fd);
  t.equal(content.toString(), 'before');
  await killServer(target);
  t.equal(recordOf(target).version, '99.0.0', 'and stays with it');

  const broken = anotherVersion(base, '100.0.0');
  fs.writeFileSync(join(broken, 'dist/bundle/background-main.js'), 'process.exit(3)\n');
  const refused = upgrade(broken, '--all');
  t.equal(refused.status, 1);
  t.match(refused.stderr, /this version cannot go on with it; version 99\.0\.0 does/);
  t.strictSame(fs.readdirSync(target), []);
  t.match(upgrade(newer), { status: 2, stderr: /give a target, or --all/ });
  t.match(upgrade(newer, base), { status: 1, stderr: /nothing of tsoverlay is mounted there/ });
});

t.test('a mount without a shim dies with its server', async (t) => {
  const layers = makeLayers(scratch(t), 1);
  const child = spawnSync(
    'sh',
    [
      '-c',
      `
    ${resolve('bin/tsoverlay')} mount -f --lower ${layers.lowers[0]} ${layers.target} & pid=$!
    until mountpoint -q ${layers.target}; do sleep 0.05; done
    kill -KILL $pid; wait $pid; ls ${layers.target} 2>&1; umount -l ${layers.target}`,
    ],
    { encoding: 'utf8' },
  );
  t.match(child.stdout, /Transport endpoint is not connected/);
});
