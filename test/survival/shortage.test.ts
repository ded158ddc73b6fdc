// SPDX-License-Identifier: MIT
/** When the disk or the system runs short: the program gets the right error, nothing is left half done, and afterwards all works again. */
import * as fs from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { Cgroup } from '../../lib/container/cgroup/cgroup.js';
import {
  failure,
  type Layers,
  layersOn,
  makeLayers,
  mountOurs,
  run,
  scratch,
  shell,
  until,
} from '../support/ground.js';

/** Nothing that nobody can see is left but what the union always has. */
function checkLeftovers(t: Test, { upper, work }: Layers, expected: string[]): void {
  t.strictSame(fs.readdirSync(upper), expected, 'in the upper');
  t.ok(
    fs.readdirSync(join(work, 'work')).length <= 1,
    'in the work directory there is the one whiteout at most',
  );
}

for (const [name, options] of Object.entries({
  whole: {},
  lazy: { copyUp: 'lazy' as const },
  metacopy: { metacopy: true },
})) {
  t.test(`no space is left, copy-up ${name}`, async (t) => {
    const layers = layersOn(t, (ground) => run('mount', '-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', ground));
    shell('head -c 9M /dev/urandom > big; echo small > small', layers.lowers[0]);
    const { target, unmount } = await mountOurs(t, layers, options);
    const fd = fs.openSync(join(target, 'big'), 'r+');
    let isOpen = true;
    t.teardown(() => isOpen && fs.closeSync(fd));
    if (name === 'lazy') {
      fs.writeSync(fd, 'x', 0);
      t.equal(
        failure(() => fs.fsyncSync(fd)),
        'ENOSPC',
        'the rest does not fit',
      );
    } else {
      t.equal(
        failure(() => fs.writeSync(fd, 'x', 0)),
        'ENOSPC',
      );
      checkLeftovers(t, layers, []);
    }
    t.equal(fs.statSync(join(target, 'big')).size, 9 << 20);
    if (name !== 'lazy') fs.appendFileSync(join(target, 'small'), 'er');
    t.match(fs.readFileSync(join(target, 'small'), 'utf8'), /^small\n/, 'what fits is done');
    run('mount', '-o', 'remount,size=40m', layers.ground);
    fs.writeSync(fd, 'y', 1);
    fs.fsyncSync(fd);
    fs.closeSync(fd);
    isOpen = false;
    t.equal(
      shell('tail -c +3 big | cmp - <(tail -c +3 ../lower0/big) && head -c 2 big', target),
      name === 'lazy' ? 'xy' : `${shell('head -c 1 lower0/big', layers.base)}y`,
    );
    await unmount();
  });
}

t.test('a quota is used up', async (t) => {
  const layers = layersOn(t, (ground) =>
    shell(
      `truncate -s 200M ${ground}.img; mkfs.btrfs -q ${ground}.img 2>&1; mount -o loop ${ground}.img ${ground}; btrfs quota enable ${ground}`,
    ),
  );
  shell('head -c 9M /dev/urandom > big; echo small > small', layers.lowers[0]);
  const { target, unmount } = await mountOurs(t, layers);
  const limit = (most: string): string =>
    shell(`sync -f .; btrfs qgroup limit ${most} . 2>&1; sync -f .`, layers.ground);
  limit('4M');
  for (const change of ['head -c 1 /dev/zero >> big', 'head -c 9M /dev/zero > new'])
    t.match(shell(`(${change}) 2>&1 || true`, target), /Disk quota exceeded/);
  t.equal(shell('cmp merged/big lower0/big; cat merged/small', layers.base), 'small\n');
  limit('none');
  fs.rmSync(join(target, 'new'));
  checkLeftovers(t, layers, []);
  fs.appendFileSync(join(target, 'big'), 'x');
  t.equal(fs.statSync(join(target, 'big')).size, (9 << 20) + 1);
  await unmount();
});

t.test('no inodes are left', async (t) => {
  const layers = layersOn(t, (ground) => run('mount', '-t', 'tmpfs', '-o', 'nr_inodes=12', 'tmpfs', ground));
  shell('mkdir -p a/b/c; echo x > a/b/c/f; echo y > g', layers.lowers[0]);
  const { target, unmount } = await mountOurs(t, layers);
  let made = 0;
  const code = failure(() => {
    for (; made < 100; made++) fs.writeFileSync(join(target, `n${made}`), '');
  });
  t.equal(code, 'ENOSPC');
  t.ok(made > 0);
  t.equal(
    failure(() => fs.chmodSync(join(target, 'a/b/c/f'), 0o600)),
    'ENOSPC',
  );
  t.equal(
    failure(() => fs.rmSync(join(target, 'g'))),
    'ENOSPC',
    'a whiteout needs an inode, too',
  );
  t.equal(fs.readFileSync(join(target, 'g'), 'utf8'), 'y\n');
  t.equal(fs.statSync(join(target, 'a/b/c/f')).mode & 0o777, 0o644);
  for (let index = 0; index < made; index++) fs.rmSync(join(target, `n${index}`));
  fs.chmodSync(join(target, 'a/b/c/f'), 0o600);
  fs.rmSync(join(target, 'g'));
  t.equal(fs.statSync(join(target, 'a/b/c/f')).mode & 0o777, 0o600);
  t.notOk(fs.existsSync(join(target, 'g')));
  await unmount();
});

t.test("the upper's file system becomes read-only, and writable again", async (t) => {
  const layers = layersOn(t, (ground) =>
    shell(`truncate -s 32M ${ground}.img; mkfs.ext4 -q ${ground}.img; mount -o loop ${ground}.img ${ground}`),
  );
  shell('echo x > f; mkdir d; echo y > gone', layers.lowers[0]);
  const { target, server, unmount } = await mountOurs(t, layers);
  fs.writeFileSync(join(target, 'mine'), 'x');
  const replaceServer = async (): Promise<void> => {
    const former = server();
    process.kill(former, 'SIGKILL');
    await until(() => server() !== former, 'another server');
  };
  // With a file open for writing the kernel refuses the remount; a new server has none.
  await replaceServer();
  fs.rmSync(join(target, 'gone'));
  run('mount', '-o', 'remount,ro', layers.ground);
  // This one finds a leftover in the work directory that it cannot take away.
  await replaceServer();
  for (const act of [
    () => fs.writeFileSync(join(target, 'new'), ''),
    () => fs.appendFileSync(join(target, 'f'), 'y'),
    () => fs.rmSync(join(target, 'mine')),
    () => fs.mkdirSync(join(target, 'd/e')),
  ]) {
    t.equal(failure(act), 'EROFS');
  }
  t.equal(fs.readFileSync(join(target, 'mine'), 'utf8'), 'x');
  run('mount', '-o', 'remount,rw', layers.ground);
  fs.appendFileSync(join(target, 'f'), 'y');
  t.equal(fs.readFileSync(join(target, 'f'), 'utf8'), 'x\ny');
  await unmount();
});

t.test('a disk that cannot be read is EIO, and what can be read is read', async (t) => {
  const base = scratch(t);
  const layers = makeLayers(base, 1);
  shell(
    'truncate -s 32M disk; mkfs.ext4 -q disk; mkdir bad; mount -o loop disk bad; head -c 9M /dev/urandom > bad/big; echo x > bad/small; sync; umount bad; cp --sparse=always disk whole; mount -o loop,ro,noload disk bad',
    base,
  );
  t.teardown(() => run('umount', '-l', join(base, 'bad')));
  const { target, unmount } = await mountOurs(t, {
    ...layers,
    lowers: [join(base, 'bad'), ...layers.lowers],
  });
  t.equal(fs.readFileSync(join(target, 'small'), 'utf8'), 'x\n');
  shell('truncate -s 8M disk; echo 3 > /proc/sys/vm/drop_caches', base);
  const code = failure(() => fs.readFileSync(join(target, 'big')));
  t.equal(code, 'EIO');
  t.equal(
    failure(() => fs.appendFileSync(join(target, 'big'), 'x')),
    'EIO',
    'it cannot be copied up either',
  );
  checkLeftovers(t, layers, []);
  fs.writeFileSync(join(target, 'new'), 'y');
  t.equal(fs.readFileSync(join(target, 'new'), 'utf8'), 'y');
  shell(
    'dd if=whole of=disk conv=notrunc bs=1M status=none; truncate -s 32M disk; dd if=whole of=disk conv=notrunc bs=1M status=none; blockdev --flushbufs $(losetup -j disk | cut -d: -f1); losetup -c $(losetup -j disk | cut -d: -f1); echo 3 > /proc/sys/vm/drop_caches',
    base,
  );
  fs.appendFileSync(join(target, 'big'), 'x');
  t.equal(fs.statSync(join(target, 'big')).size, (9 << 20) + 1, 'the disk is well again');
  await unmount();
});

t.test(
  'a server that is ended for want of memory is followed by another one, and nobody notices',
  async (t) => {
    const layers = makeLayers(scratch(t), 1);
    shell('mkdir d; cd d; seq -f f%g 40000 | xargs touch; echo x > ../g', layers.lowers[0]);
    const { target, server, unmount } = await mountOurs(t, layers);
    const cgroup = new Cgroup(`memory-${process.pid}`);
    t.teardown(() => cgroup.remove());
    cgroup.create({ memory: { limit: 24 << 20 } });
    const first = server();
    for (const file of cgroup.processFiles) fs.writeFileSync(file, String(first));
    // Its nodes take more than that.
    t.equal(shell('ls -l d | tail -n +2 | wc -l; echo y >> g; cat g', target), '40000\nx\ny\n');
    await until(() => server() !== first, 'another server');
    t.notOk(cgroup.processes().includes(first));
    await unmount();
  },
);

t.test('no descriptors are left', async (t) => {
  const base = scratch(t);
  const layers = makeLayers(base, 1);
  shell('for i in $(seq 50); do mkdir d$i; echo $i > d$i/f; done', layers.lowers[0]);
  const { target, server, unmount } = await mountOurs(t, layers);
  const limits = run('prlimit', '--nofile', '--output=SOFT,HARD', '--noheadings', `--pid=${server()}`)
    .trim()
    .split(/\s+/);
  const used = new Set(fs.readdirSync(`/proc/${server()}/fd`).map(Number));
  let lowestFree = 0;
  while (used.has(lowestFree)) lowestFree++;
  run('prlimit', `--nofile=${lowestFree}:${limits[1]}`, `--pid=${server()}`);
  t.equal(
    failure(() => fs.appendFileSync(join(target, 'd1/f'), 'x')),
    'EMFILE',
  );
  checkLeftovers(t, layers, []);
  run('prlimit', `--nofile=${limits[0]}:${limits[1]}`, `--pid=${server()}`);
  fs.appendFileSync(join(target, 'd1/f'), 'x');
  t.equal(fs.readFileSync(join(target, 'd1/f'), 'utf8'), '1\nx');
  await unmount();
});
