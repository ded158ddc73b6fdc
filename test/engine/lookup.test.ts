// SPDX-License-Identifier: MIT
import t from 'tap';
import { shell } from '../support/ground.js';
import { open, prepare } from '../support/overlay.js';

t.test('the topmost layer that has a name supplies it', async (t) => {
  const overlay = await open(t, prepare(t, ['echo top > f', 'echo low > f; echo only > g']));
  t.equal(await overlay.readFile('/f', 'utf8'), 'top\n');
  t.equal(await overlay.readFile('g', 'utf8'), 'only\n');
  await t.rejects(overlay.readFile('/none'), { code: 'ENOENT', path: '/none', syscall: 'open' });
});

t.test('directories merge down to an opaque one, a file or a whiteout', async (t) => {
  const overlay = await open(
    t,
    prepare(t, [
      'mkdir a b c; touch a/1 b/1 c/1',
      'mkdir a b; touch a/2 b/2; touch c; setfattr -n trusted.overlay.opaque -v y b',
      'mkdir a b c; touch a/3 b/3 c/3',
    ]),
  );
  t.strictSame((await overlay.readdir('/a')).sort(), ['1', '2', '3']);
  t.strictSame((await overlay.readdir('/b')).sort(), ['1', '2']);
  t.strictSame(await overlay.readdir('/c'), ['1']);
});

t.test('a whiteout hides a name from all layers below it, and is not seen itself', async (t) => {
  const overlay = await open(
    t,
    prepare(t, ['mknod f c 0 0; mknod dev c 1 3', 'touch f', 'touch f; mkdir d; touch d/x']),
  );
  t.strictSame((await overlay.readdir('/')).sort(), ['d', 'dev']);
  t.equal(await overlay.exists('/f'), false);
  t.ok((await overlay.lstat('/dev')).isCharacterDevice(), 'another device is a device');
});

t.test('a whiteout in attributes counts in directories that say so', async (t) => {
  const hide = 'setfattr -n trusted.overlay.whiteout -v y';
  const overlay = await open(
    t,
    prepare(t, [
      `mkdir d e; touch d/f e/f; ${hide} d/f; ${hide} e/f; setfattr -n trusted.overlay.opaque -v x d`,
      'mkdir d e; echo low > d/f; echo low > e/f; touch d/g',
    ]),
  );
  t.strictSame(await overlay.readdir('/d'), ['g']);
  t.equal(await overlay.exists('/d/f'), false);
  t.equal(await overlay.readFile('/e/f', 'utf8'), '', 'without the mark it is an empty file');
});

t.test('a redirect leads to the directory under its old name, near and far', async (t) => {
  const overlay = await open(
    t,
    prepare(t, [
      'mkdir -p near far/deep; setfattr -n trusted.overlay.redirect -v old near; setfattr -n trusted.overlay.redirect -v /x/y far/deep; touch near/new',
      'mkdir -p old x/y near; touch old/1 x/y/2 near/not',
    ]),
  );
  t.strictSame((await overlay.readdir('/near')).sort(), ['1', 'new']);
  t.strictSame(await overlay.readdir('/far/deep'), ['2']);
});

t.test('a redirect that tries to leave the layer is refused with EIO', async (t) => {
  for (const redirect of ['..', '/../etc', '/a//b', '/', 'a/b', '.']) {
    const overlay = await open(
      t,
      prepare(t, [
        `mkdir d; touch ok; setfattr -n trusted.overlay.redirect -v '${redirect}' d`,
        'mkdir -p a/b d',
      ]),
    );
    await t.rejects(overlay.readdir('/d'), { code: 'EIO' }, redirect);
    t.equal(await overlay.exists('/ok'), true, 'everything else goes on');
    await overlay.close();
  }
});

t.test('a redirect through a symlink of the layer does not leave it', async (t) => {
  const overlay = await open(
    t,
    prepare(t, ['mkdir d; setfattr -n trusted.overlay.redirect -v /link/etc d', 'ln -s / link; mkdir -p d']),
  );
  t.strictSame(await overlay.readdir('/d'), []);
});

t.test('symlinks are followed in the merged view, and loops are found', async (t) => {
  const overlay = await open(
    t,
    prepare(t, ['ln -s /dir/f abs; ln -s ../../dir up; ln -s loop loop', 'mkdir dir; echo x > dir/f']),
  );
  t.equal(await overlay.readFile('/abs', 'utf8'), 'x\n');
  t.strictSame(await overlay.readdir('/up'), ['f'], 'the root is its own parent');
  t.equal(await overlay.readlink('/up'), '../../dir');
  await t.rejects(overlay.stat('/loop'), { code: 'ELOOP' });
});

t.test('a name of any bytes is listed, read and written', async (t) => {
  const prepared = prepare(t, [`touch "$(printf 'a\\xff\\nb')"`]);
  const overlay = await open(t, prepared);
  const name = Buffer.from([0x61, 0xff, 0x0a, 0x62]);
  t.strictSame(await overlay.readdirBytes('/'), [name]);
  await overlay.writeFile(name, 'data');
  t.equal(await overlay.readFile(name, 'utf8'), 'data');
});

t.test('names that a directory lacks are known without asking the layers, once it is listed', async (t) => {
  const layers = prepare(t, ['touch a', 'touch b', 'touch c']);
  const overlay = await open(t, layers);
  for (let index = 0; index < 100; index++) t.equal(await overlay.exists(`/none${index}`), false);
  // Layers must not change under an overlay; here it shows that they are not asked.
  for (const [index, lower] of layers.lowers.entries()) {
    shell(`touch behind${index}`, lower);
    t.equal(await overlay.exists(`/behind${index}`), false, `layer ${index}`);
  }
  await overlay.writeFile('/none7', 'made');
  t.equal(await overlay.exists('/none7'), true);
  await overlay.unlink('/a');
  t.equal(await overlay.exists('/a'), false);
  t.strictSame((await overlay.readdir('/')).sort(), ['b', 'c', 'none7']);
});
