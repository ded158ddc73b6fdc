// SPDX-License-Identifier: MIT
/** Creating, linking, removing and renaming, and what each leaves in the upper. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { shell } from '../support/ground.js';
import { open, prepare } from '../support/overlay.js';

function describe(directory: string): string {
  return shell(
    `find . -mindepth 1 -printf '%P %y\\n' | sort
     find . -mindepth 1 -type d -printf '%P\\n' | sort | xargs -r getfattr -h -d -m 'opaque|redirect' | grep -v '^$' || true`,
    directory,
  );
}

t.test('removing a lower file leaves a whiteout; removing an upper one leaves nothing', async (t) => {
  const layers = prepare(t, ['touch low']);
  const overlay = await open(t, layers);
  await overlay.writeFile('/up', '');
  await overlay.unlink('/up');
  await overlay.unlink('/low');
  t.equal(describe(layers.upper), 'low c\n');
  t.strictSame(await overlay.readdir('/'), []);
});

t.test('a file made over a whiteout takes its place, a directory is opaque', async (t) => {
  const layers = prepare(t, ['echo old > f; mkdir d; touch d/old']);
  const overlay = await open(t, layers);
  await overlay.unlink('/f');
  await overlay.rm('/d', { recursive: true });
  await overlay.writeFile('/f', 'new');
  await overlay.mkdir('/d');
  t.strictSame(await overlay.readdir('/d'), []);
  t.equal(describe(layers.upper), 'd d\nf f\n# file: d\ntrusted.overlay.opaque="y"\n');
});

t.test(
  'an object made over a whiteout inherits group, setgid bit and default ACL as any other',
  async (t) => {
    const layers = prepare(t, [
      'mkdir d; touch d/f; mkdir d/e; chown :77 d; chmod 2775 d; setfacl -d -m u:88:rwx d',
    ]);
    const overlay = await open(t, layers);
    await overlay.unlink('/d/f');
    await overlay.rmdir('/d/e');
    await overlay.writeFile('/d/f', '');
    await overlay.writeFile('/d/fresh', '');
    await overlay.mkdir('/d/e');
    await overlay.mkdir('/d/e2');
    const facts = (name: string): string =>
      shell(`stat -c '%a %g' ${name}; getfacl -cpn ${name}`, join(layers.upper, 'd'));
    t.equal(facts('f'), facts('fresh'));
    t.equal(facts('e'), facts('e2'));
    t.match(facts('e'), /^2\d\d\d 77\n/);
    t.match(facts('e'), /default:user:88:rwx/);
  },
);

t.test('a directory with only whiteouts in it is empty and can be removed', async (t) => {
  const layers = prepare(t, ['mkdir -p d; touch d/a d/b']);
  const overlay = await open(t, layers);
  await overlay.unlink('/d/a');
  await t.rejects(overlay.rmdir('/d'), { code: 'ENOTEMPTY' });
  await overlay.unlink('/d/b');
  await overlay.rmdir('/d');
  t.equal(describe(layers.upper), 'd c\n');
});

t.test('a whiteout lies in no opaque directory', async (t) => {
  const layers = prepare(t, ['mkdir d; touch d/f']);
  const overlay = await open(t, layers);
  await overlay.rm('/d', { recursive: true });
  await overlay.mkdir('/d');
  await overlay.writeFile('/d/f', '');
  await overlay.unlink('/d/f');
  await overlay.mkdir('/d/sub');
  await overlay.rmdir('/d/sub');
  t.equal(describe(layers.upper), 'd d\n# file: d\ntrusted.overlay.opaque="y"\n');
});

t.test('renaming a lower directory leaves a redirect and a whiteout, and copies no content', async (t) => {
  const layers = prepare(t, ['mkdir -p a/sub; echo 1 > a/f; echo 2 > a/sub/g', 'mkdir a; touch a/deep']);
  const overlay = await open(t, layers);
  await overlay.rename('/a', '/b');
  await overlay.mkdir('/c');
  await overlay.rename('/b/sub', '/c/moved');
  t.strictSame((await overlay.readdir('/b')).sort(), ['deep', 'f']);
  t.equal(await overlay.readFile('/c/moved/g', 'utf8'), '2\n');
  t.equal(
    describe(layers.upper),
    'a c\nb d\nb/sub c\nc d\nc/moved d\n# file: b\ntrusted.overlay.redirect="a"\n# file: c\ntrusted.overlay.opaque="y"\n# file: c/moved\ntrusted.overlay.redirect="/a/sub"\n',
  );
  await overlay.close();
  const again = await open(t, layers);
  t.strictSame((await again.readdir('/b')).sort(), ['deep', 'f']);
  t.equal(await again.readFile('/c/moved/g', 'utf8'), '2\n');
});

t.test('with redirects off, a lower directory cannot be renamed: EXDEV, and nothing is copied', async (t) => {
  const layers = prepare(t, ['mkdir a; touch a/f']);
  const overlay = await open(t, layers, { redirectDir: 'off' });
  await t.rejects(overlay.rename('/a', '/b'), { code: 'EXDEV' });
  t.equal(describe(layers.upper), '');
  await overlay.mkdir('/new');
  await overlay.rename('/new', '/newer');
  t.strictSame((await overlay.readdir('/')).sort(), ['a', 'newer']);
});

t.test('rename replaces, refuses and exchanges as renameat2 says', async (t) => {
  const layers = prepare(t, ['echo 1 > f; echo 2 > g; mkdir d e; touch d/x; ln -s f l']);
  const overlay = await open(t, layers);
  await t.rejects(overlay.rename('/f', '/g', 1), { code: 'EEXIST' });
  await t.rejects(overlay.rename('/f', '/d'), { code: 'EISDIR' });
  await t.rejects(overlay.rename('/d', '/f'), { code: 'ENOTDIR' });
  await t.rejects(overlay.rename('/e', '/d'), { code: 'ENOTEMPTY' });
  await t.rejects(overlay.rename('/none', '/f'), { code: 'ENOENT' });
  await t.rejects(overlay.rename('/f', '/none', 2), { code: 'ENOENT' });
  await overlay.rename('/f', '/d', 2);
  t.ok((await overlay.stat('/f')).isDirectory());
  t.strictSame(await overlay.readdir('/f'), ['x']);
  t.equal(await overlay.readFile('/d', 'utf8'), '1\n');
  await overlay.rename('/g', '/l');
  t.equal(await overlay.readFile('/l', 'utf8'), '2\n');
  await overlay.unlink('/f/x');
  await overlay.rename('/e', '/f');
  t.strictSame((await overlay.readdir('/')).sort(), ['d', 'f', 'l']);
});

t.test('hard links made through the overlay are one file, also after it is opened again', async (t) => {
  const layers = prepare(t, ['echo 1 > f']);
  let overlay = await open(t, layers);
  await overlay.link('/f', '/g');
  await overlay.appendFile('/g', '2\n');
  t.equal(await overlay.readFile('/f', 'utf8'), '1\n2\n');
  t.equal((await overlay.stat('/f')).nlink, 2);
  await overlay.close();
  overlay = await open(t, layers);
  const [f, g] = [await overlay.stat('/f', { bigint: true }), await overlay.stat('/g', { bigint: true })];
  t.equal(f.ino, g.ino);
  await overlay.unlink('/f');
  await overlay.appendFile('/g', '3\n');
  t.equal((await overlay.stat('/g')).nlink, 1);
  t.equal(await overlay.readFile('/g', 'utf8'), '1\n2\n3\n');
});

t.test('hard links inside a lower layer count as they do there', async (t) => {
  const overlay = await open(t, prepare(t, ['echo 1 > f; ln f g; ln f h']));
  t.equal((await overlay.stat('/f')).nlink, 3);
  t.equal((await overlay.stat('/f', { bigint: true })).ino, (await overlay.stat('/h', { bigint: true })).ino);
});

t.test('a read-only overlay refuses every change with EROFS', async (t) => {
  const layers = prepare(t, ['mkdir d; echo x > f']);
  const overlay = await open(t, layers, { upper: undefined, work: undefined });
  for (const change of [
    overlay.writeFile('/new', ''),
    overlay.appendFile('/f', 'x'),
    overlay.mkdir('/m'),
    overlay.unlink('/f'),
    overlay.rmdir('/d'),
    overlay.rename('/f', '/g'),
    overlay.link('/f', '/g'),
    overlay.symlink('x', '/l'),
    overlay.chmod('/f', 0o600),
    overlay.setxattr('/f', 'user.a', 'b'),
  ]) {
    await t.rejects(change, { code: 'EROFS' });
  }
  t.equal(await overlay.readFile('/f', 'utf8'), 'x\n');
});

t.test('a whiteout cannot be made by hand', async (t) => {
  const overlay = await open(t, prepare(t, ['touch f']));
  await t.rejects(overlay.mknod('/w', 0o020644, 0), { code: 'EPERM' });
  await overlay.mknod('/null', 0o020666, 0x103);
  t.ok((await overlay.stat('/null')).isCharacterDevice());
});

t.test('marks of an overlay inside are kept apart from ours', async (t) => {
  const layers = prepare(t, ['touch f']);
  const overlay = await open(t, layers);
  await overlay.setxattr('/f', 'trusted.overlay.opaque', 'y');
  t.strictSame(await overlay.listxattr('/f'), ['trusted.overlay.opaque']);
  t.match(shell('getfattr -d -m overlay f', layers.upper), /trusted\.overlay\.overlay\.opaque="y"/);
  await t.rejects(overlay.getxattr('/f', 'trusted.overlay.origin'), { code: 'ENODATA' });
});

t.test('in a large directory no name is lost or doubled while others come and go', async (t) => {
  const layers = prepare(t, ['mkdir d; cd d; seq 1 20000 | xargs touch']);
  const overlay = await open(t, layers);
  for (let index = 1; index <= 500; index++) {
    await overlay.unlink(`/d/${index * 2}`);
    await overlay.writeFile(`/d/new${index}`, '');
  }
  const names = await overlay.readdir('/d');
  t.equal(names.length, 20000);
  t.equal(new Set(names).size, 20000);
  t.strictSame(readdirSync(join(layers.upper, 'd')).length, 1000);
});
