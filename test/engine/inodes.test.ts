// SPDX-License-Identifier: MIT
import t from 'tap';
import { InodeNumbers } from '../../lib/overlay/nodes/inodes.js';
import { shell } from '../support/ground.js';
import { open, prepare } from '../support/overlay.js';

t.test('an inode number survives copy-up, rename and opening again', async (t) => {
  const layers = prepare(t, ['mkdir d; echo x > d/f; ln -s x d/l; mkfifo d/p; mkdir d/e']);
  const paths = ['/d', '/d/f', '/d/l', '/d/p', '/d/e'];
  let overlay = await open(t, layers);
  const before = new Map<string, bigint>();
  for (const path of paths) before.set(path, (await overlay.lstat(path, { bigint: true })).ino);
  for (const path of paths) await overlay.lchown(path, 3, 3);
  for (const path of paths)
    t.equal((await overlay.lstat(path, { bigint: true })).ino, before.get(path), `${path} after copy-up`);
  await overlay.rename('/d/f', '/moved');
  await overlay.close();
  overlay = await open(t, layers);
  t.equal(
    (await overlay.lstat('/moved', { bigint: true })).ino,
    before.get('/d/f'),
    'moved and opened again',
  );
  for (const path of ['/d', '/d/l', '/d/p', '/d/e']) {
    t.equal((await overlay.lstat(path, { bigint: true })).ino, before.get(path), `${path} opened again`);
  }
});

t.test('a copied-up file keeps its number when it gets further names, by all of them', async (t) => {
  const layers = prepare(t, ['mkdir d; echo x > d/f']);
  let overlay = await open(t, layers);
  const before = (await overlay.stat('/d/f', { bigint: true })).ino;
  await overlay.mkdir('/new');
  await overlay.link('/d/f', '/new/g');
  t.equal((await overlay.stat('/new/g', { bigint: true })).ino, before);
  await overlay.close();
  overlay = await open(t, layers);
  t.equal((await overlay.stat('/new/g', { bigint: true })).ino, before, 'opened again');
  t.equal((await overlay.stat('/d/f', { bigint: true })).ino, before);
  await overlay.unlink('/d/f');
  await overlay.close();
  overlay = await open(t, layers);
  t.equal((await overlay.stat('/new/g', { bigint: true })).ino, before, 'with one name left');
});

t.test('two layers on different devices never share an inode number', async (t) => {
  const layers = prepare(t, ['true', 'true']);
  for (const lower of layers.lowers)
    shell(
      `mount -t tmpfs inner ${lower}; for i in 1 2 3 4 5; do touch ${lower}/$(basename ${lower})-$i; done`,
    );
  t.teardown(() => shell(`umount -l ${layers.lowers.join(' ')}`));
  const overlay = await open(t, layers);
  await overlay.writeFile('/upper', '');
  const numbers = new Set<bigint>();
  const names = await overlay.readdir('/');
  for (const name of names) numbers.add((await overlay.stat(`/${name}`, { bigint: true })).ino);
  t.equal(names.length, 11);
  t.equal(numbers.size, 11);
});

t.test(
  'a broken hard link gets a number of its own, so that tools do not take the two for one',
  async (t) => {
    const overlay = await open(t, prepare(t, ['echo 1 > f; ln f g']), { index: false });
    await overlay.appendFile('/f', '2\n');
    t.not((await overlay.stat('/f', { bigint: true })).ino, (await overlay.stat('/g', { bigint: true })).ino);
    t.equal(await overlay.readFile('/g', 'utf8'), '1\n');
  },
);

t.test('real numbers of any size are told apart by file system', async (t) => {
  const numbers = new InodeNumbers();
  const seen = new Set<string>();
  for (const fileSystem of [7, 9]) {
    for (const [low, high] of [
      [1, 0],
      [1, 1],
      [0xffffffff, 0x00ffffff],
      [1, 0xff000000],
      [1, 0x80000000],
    ]) {
      const shown = { inodeLow: 0, inodeHigh: 0 };
      numbers.number(shown, fileSystem, low, high);
      seen.add(`${shown.inodeHigh}:${shown.inodeLow}`);
    }
  }
  t.equal(seen.size, 10);
});
