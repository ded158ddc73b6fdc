// SPDX-License-Identifier: MIT
/** Whiteouts that are files: read in every layer, written where devices and attributes cannot be had. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { makeLayers, run, scratch, shell } from '../support/ground.js';
import { open, prepare } from '../support/overlay.js';

/** What lies in an upper, `.wh.` files and all. */
function lies(directory: string): string[] {
  return shell("find . -mindepth 1 -printf '%P %y\\n' | sort", directory).split('\n').filter(Boolean);
}

/** Layers on a ramfs, which has no attributes of any kind. */
function bareGround(t: Test, script: string): ReturnType<typeof makeLayers> {
  const base = scratch(t);
  const bare = join(base, 'bare');
  shell(`mkdir ${bare}; mount -t ramfs tsoverlay-test ${bare}`);
  t.teardown(() => run('umount', '-l', bare));
  const layers = makeLayers(bare, 1);
  shell(script, layers.lowers[0]);
  return layers;
}

t.test('a .wh. file hides the name in the layers below it, and not in its own', async (t) => {
  const overlay = await open(
    t,
    prepare(t, [
      'touch .wh.f .wh.own .wh.d; echo mine > own; mkdir d; echo new > d/new',
      'echo low > f; echo low > own; mkdir d; touch d/old; touch g',
    ]),
  );
  t.strictSame((await overlay.readdir('/')).sort(), ['d', 'g', 'own']);
  t.equal(await overlay.exists('/f'), false);
  t.equal(await overlay.readFile('/own', 'utf8'), 'mine\n');
  t.strictSame(await overlay.readdir('/d'), ['new'], 'a directory beside its whiteout does not merge');
  const { layers } = await overlay.explain('/f');
  t.strictSame(
    layers.map(({ type, role }) => `${type} ${role}`),
    ['whiteout hides', 'file hidden'],
  );
});

t.test('a name is hidden whether it is looked up before or after the directory was listed', async (t) => {
  const layers = prepare(t, ['mkdir d; touch d/.wh.f', 'mkdir d; touch d/f d/g']);
  const first = await open(t, layers);
  t.equal(await first.exists('/d/f'), false);
  t.strictSame(await first.readdir('/d'), ['g']);
  await first.close();
  const second = await open(t, layers);
  t.strictSame(await second.readdir('/d'), ['g']);
  t.equal(await second.exists('/d/f'), false);
  t.equal(await second.exists('/d/g'), true);
});

t.test('.wh..wh..opq makes a directory opaque, the root of a layer too', async (t) => {
  const overlay = await open(
    t,
    prepare(t, ['mkdir d; touch d/1 d/.wh..wh..opq', 'mkdir d e; touch d/2 .wh..wh..opq e/2', 'touch lost']),
  );
  t.strictSame(await overlay.readdir('/d'), ['1']);
  t.strictSame((await overlay.readdir('/')).sort(), ['d', 'e']);
});

t.test(
  'names of the format are not seen and cannot be made; whiteout=overlay takes them for files',
  async (t) => {
    const layers = prepare(t, ['mkdir .wh..wh.plnk; touch .wh..wh.aufs f .wh.g', 'touch g']);
    const overlay = await open(t, layers);
    t.strictSame(await overlay.readdir('/'), ['f']);
    await t.rejects(overlay.lstat('/.wh..wh.plnk'), { code: 'ENOENT' });
    await t.rejects(overlay.writeFile('/.wh.new', ''), { code: 'EINVAL' });
    await t.rejects(overlay.mkdir('/.wh.dir'), { code: 'EINVAL' });
    await t.rejects(overlay.rename('/f', '/.wh.f'), { code: 'EINVAL' });
    await overlay.close();
    const plain = await open(t, layers, { whiteout: 'overlay' });
    t.strictSame((await plain.readdir('/')).sort(), ['.wh..wh.aufs', '.wh..wh.plnk', '.wh.g', 'f', 'g']);
  },
);

t.test('the other spellings of opaque count', async (t) => {
  const mark = (name: string): string =>
    `mkdir ${name[0]}; touch ${name[0]}/new; setfattr -n ${name.slice(1)} -v y ${name[0]}`;
  const overlay = await open(
    t,
    prepare(t, [
      [mark('auser.fuseoverlayfs.opaque'), mark('buser.overlay.opaque'), mark('cuser.other')].join('\n'),
      'mkdir a b c; touch a/old b/old c/old',
    ]),
  );
  t.strictSame(await overlay.readdir('/a'), ['new']);
  t.strictSame(await overlay.readdir('/b'), ['new']);
  t.strictSame((await overlay.readdir('/c')).sort(), ['new', 'old']);
});

t.test('whiteout=aufs works on a file system without attributes', async (t) => {
  const layers = bareGround(t, 'mkdir -p d/sub e; echo low > f; echo low > d/g; touch e/h');
  const overlay = await open(t, layers, { whiteout: 'aufs', redirectDir: 'off' });
  await overlay.unlink('/f');
  await overlay.rm('/e', { recursive: true });
  await overlay.mkdir('/e');
  await overlay.writeFile('/e/fresh', 'new');
  await overlay.appendFile('/d/g', 'er');
  await overlay.rename('/d/g', '/d/moved');
  t.strictSame(lies(layers.upper), [
    '.wh.f f',
    'd d',
    'd/.wh.g f',
    'd/moved f',
    'e d',
    'e/.wh..wh..opq f',
    'e/fresh f',
  ]);
  await overlay.close();
  const again = await open(t, layers, { whiteout: 'aufs' });
  t.strictSame((await again.readdir('/')).sort(), ['d', 'e']);
  t.strictSame(await again.readdir('/e'), ['fresh']);
  t.strictSame((await again.readdir('/d')).sort(), ['moved', 'sub']);
  t.equal(await again.readFile('/d/moved', 'utf8'), 'low\ner');
  await again.writeFile('/f', 'back');
  await again.rm('/d', { recursive: true });
  t.strictSame(lies(layers.upper), ['.wh.d f', 'e d', 'e/.wh..wh..opq f', 'e/fresh f', 'f f']);
});

t.test(
  'a directory that holds only whiteouts is replaced by a rename, whatever they are made of',
  async (t) => {
    const layers = prepare(t, ['mkdir d s; touch d/a']);
    shell('mkdir d; touch d/.wh.a', layers.upper);
    const overlay = await open(t, layers);
    await overlay.mkdir('/new');
    await overlay.writeFile('/new/x', '');
    await overlay.rename('/new', '/d');
    t.strictSame(await overlay.readdir('/d'), ['x']);
    await overlay.rm('/d', { recursive: true });
    t.strictSame(readdirSync(layers.upper), ['d'], 'a whiteout is left');
  },
);
