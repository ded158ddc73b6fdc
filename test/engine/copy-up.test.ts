// SPDX-License-Identifier: MIT
import { lstatSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { shell } from '../support/ground.js';
import { open, prepare } from '../support/overlay.js';

t.test('a write copies the file up and leaves the lower one as it was', async (t) => {
  const layers = prepare(t, ['mkdir -p a/b; echo lower > a/b/f']);
  const overlay = await open(t, layers);
  await overlay.appendFile('/a/b/f', 'more\n');
  t.equal(await overlay.readFile('/a/b/f', 'utf8'), 'lower\nmore\n');
  t.equal(shell('cat a/b/f', layers.lowers[0]), 'lower\n');
  t.equal(shell('cat a/b/f', layers.upper), 'lower\nmore\n');
});

t.test('owner, mode, times, attributes, ACL and capabilities come along', async (t) => {
  const layers = prepare(t, [
    `mkdir d; echo x > d/f; chown 12:34 d/f; chmod 4751 d/f; setfattr -n user.k -v v d/f; setfacl -m u:77:rw d/f
     setfattr -n security.capability -v 0x0100000200040000000000000000000000000000 d/f
     touch -m -d '2001-02-03 04:05:06.123456789' d/f; touch -a -d '2002-02-03 04:05:06.987654321' d/f
     chmod 2770 d; chown 5:6 d; setfattr -n trusted.t -v w d; setfacl -d -m u:88:r d; touch -d @1000000000.5 d`,
  ]);
  const overlay = await open(t, layers);
  // Setting an attribute changes neither data nor modification time, and stays visible beside the copied ones.
  await overlay.setxattr('/d/f', 'user.new', 'n');
  const describe = (root: string): string =>
    shell(
      `stat -c '%a %u %g %s %Y %.9Y' d/f d; getfacl -cpn d d/f; getfattr -h -d -m '^(user.k|security|trusted.t)' -e hex d d/f`,
      root,
    );
  t.equal(describe(layers.upper), describe(layers.lowers[0]));
});

t.test('holes stay holes', async (t) => {
  const layers = prepare(t, [
    'truncate -s 64M f; printf start | dd of=f conv=notrunc status=none; printf end | dd of=f bs=1 seek=67108861 conv=notrunc status=none',
  ]);
  const overlay = await open(t, layers);
  await overlay.write('/f', 'X', 1);
  t.equal(shell('cmp <(head -c 5 f) <(printf sXart); tail -c 3 f', layers.upper), 'end');
  const { size, blocks } = statSync(join(layers.upper, 'f'));
  t.equal(size, 64 << 20);
  t.ok(blocks * 512 < 1 << 20, `${blocks} blocks are allocated`);
});

t.test('the times of the parent in the view do not change', async (t) => {
  const layers = prepare(t, ['mkdir d; touch d/f; touch -d @1000000000.123456789 d']);
  const overlay = await open(t, layers);
  await overlay.chmod('/d/f', 0o600);
  t.equal((await overlay.stat('/d', { bigint: true })).mtimeNs, 1_000_000_000_123_456_789n);
});

t.test('reading, listing and a refused change copy nothing up', async (t) => {
  const layers = prepare(t, ['mkdir d; echo x > d/f; ln -s f d/l']);
  const overlay = await open(t, layers);
  await overlay.readFile('/d/f');
  await overlay.readdir('/d');
  await overlay.stat('/d/l');
  await t.rejects(overlay.removexattr('/d/f', 'user.none'), { code: 'ENODATA' });
  await t.rejects(overlay.mkdir('/d/f'), { code: 'EEXIST' });
  await t.rejects(overlay.rmdir('/d'), { code: 'ENOTEMPTY' });
  await t.rejects(overlay.rename('/d', '/d/sub'), { code: 'EINVAL' });
  t.strictSame(readdirSync(layers.upper), []);
});

t.test('symlinks, devices and fifos are copied up as what they are', async (t) => {
  const layers = prepare(t, ['ln -s target link; mknod dev b 7 300; mkfifo pipe; chown -h 9:9 link']);
  const overlay = await open(t, layers);
  for (const name of ['link', 'dev', 'pipe']) await overlay.lchown(`/${name}`, 1, 2);
  t.equal(
    shell('stat -c "%F %u %g %t %T" link dev pipe; readlink link', layers.upper),
    'symbolic link 1 2 0 0\nblock special file 1 2 7 12c\nfifo 1 2 0 0\ntarget\n',
  );
});

t.test('truncating to nothing copies no data', async (t) => {
  const layers = prepare(t, ['dd if=/dev/zero of=f bs=1M count=8 status=none']);
  // There is no room for the data, not even for a moment.
  const tight = join(layers.base, 'tight');
  shell(`mkdir ${tight}; mount -t tmpfs -o size=1m tight ${tight}; mkdir ${tight}/upper ${tight}/work`);
  t.teardown(() => shell(`umount ${tight}`));
  const overlay = await open(t, { ...layers, upper: join(tight, 'upper'), work: join(tight, 'work') });
  await overlay.truncate('/f', 0);
  const { size, blocks } = lstatSync(join(tight, 'upper/f'));
  t.strictSame({ size, blocks }, { size: 0, blocks: 0 });
  t.equal((await overlay.stat('/f')).size, 0);
});

t.test('nothing is left in the work directory afterwards', async (t) => {
  const layers = prepare(t, ['mkdir -p d/e; touch d/e/f d/g; ln d/g d/h']);
  const overlay = await open(t, layers);
  await overlay.chmod('/d/e/f', 0o600);
  await overlay.chown('/d/h', 1, 1);
  await overlay.rm('/d', { recursive: true });
  await overlay.mkdir('/d');
  await overlay.writeFile('/d/x', '');
  await overlay.close();
  t.strictSame(readdirSync(join(layers.work, 'work')), []);
});

t.test('a copy-up that fails half way leaves neither upper nor work behind', async (t) => {
  const layers = prepare(t, ['dd if=/dev/zero of=big bs=1M count=12 status=none; echo s > small']);
  const tight = join(layers.base, 'tight');
  shell(`mkdir ${tight}; mount -t tmpfs -o size=4m tight ${tight}; mkdir ${tight}/upper ${tight}/work`);
  t.teardown(() => shell(`umount ${tight}`));
  const overlay = await open(t, { ...layers, upper: join(tight, 'upper'), work: join(tight, 'work') });
  await t.rejects(overlay.appendFile('/big', 'x'), { code: 'ENOSPC' });
  t.strictSame(readdirSync(join(tight, 'upper')), []);
  t.strictSame(readdirSync(join(tight, 'work/work')), []);
  t.equal((await overlay.stat('/big')).size, 12 << 20, 'the file is what it was');
  await overlay.appendFile('/small', 'x');
  t.equal(await overlay.readFile('/small', 'utf8'), 's\nx', 'and the overlay works again');
  await overlay.close();
});

t.test('after a volatile mount the next one is refused until its mark is removed', async (t) => {
  const layers = prepare(t, ['echo x > f']);
  const overlay = await open(t, layers, { volatile: true });
  await overlay.appendFile('/f', 'y');
  await overlay.close();
  await t.rejects(
    open(t, layers),
    /upper was mounted volatile and may be incomplete; discard the upper, or delete/,
  );
  shell('rm -r work/incompat/volatile', layers.work);
  const again = await open(t, layers);
  t.equal(await again.readFile('/f', 'utf8'), 'x\ny');
});
