// SPDX-License-Identifier: MIT
/** Whiteouts that are files: read in every layer, written where devices and attributes cannot be had. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { packUpper } from '../../lib/image/pack/pack.js';
import { Overlay } from '../../lib/index.js';
import { Marks } from '../../lib/overlay/formats/marks.js';
import { checkLayer } from '../../lib/overlay/inspect/check.js';
import { openUnion } from '../../lib/overlay/open/open.js';
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
  'names that begin with .wh. are names like others in an upper, and hide in the layers below it',
  async (t) => {
    const layers = prepare(t, [
      'mkdir .wh..wh.plnk; touch .wh..wh.aufs .wh.f',
      'touch f g; mkdir d; touch d/old',
    ]);
    const overlay = await open(t, layers);
    t.strictSame(
      (await overlay.readdir('/')).sort(),
      ['d', 'g'],
      'of the lower layer none is seen, and f is hidden',
    );
    await overlay.writeFile('/.wh.g', 'mine');
    await overlay.writeFile('/.wh..wh..opq', '');
    await overlay.writeFile('/d/.wh..wh..opq', '');
    await overlay.mkdir('/.wh.dir');
    await overlay.writeFile('/.wh.dir/x', '');
    await overlay.rename('/.wh.dir', '/.wh.d');
    await overlay.link('/.wh.g', '/.wh.f');
    await overlay.writeFile('/.wh.gone', '');
    await overlay.unlink('/.wh.gone');
    const shown = ['.wh..wh..opq', '.wh.d', '.wh.f', '.wh.g', 'd', 'g'];
    const look = async (view: Overlay, when: string): Promise<void> => {
      t.strictSame((await view.readdir('/')).sort(), shown, when);
      t.strictSame((await view.readdir('/d')).sort(), ['.wh..wh..opq', 'old'], when);
      t.strictSame(await view.readdir('/.wh.d'), ['x'], when);
      t.equal(await view.readFile('/.wh.g', 'utf8'), 'mine', when);
      t.equal(await view.exists('/f'), false, when);
      await view.close();
    };
    await look(overlay, 'at once');
    await look(await open(t, layers), 'when it is opened again');
    const lowers = [layers.upper, ...layers.lowers];
    await look(await Overlay.open({ lowers }), 'when it is a lower layer');
    t.strictSame(checkLayer(layers.upper, null, new Marks(false), false), [], 'fsck finds nothing');
    const union = openUnion({ lowers: layers.lowers, upper: layers.upper, readOnly: true });
    t.throws(
      () => [...packUpper(union)],
      /in an image layer a name that begins with \.wh\./,
      'no layer can hold them',
    );
    union.close();
    await t.rejects(open(t, layers, { whiteout: 'aufs' }), /would become whiteouts; leave out whiteout=aufs/);
  },
);

t.test(
  'an upper with .wh. files of another program goes on to hide by them, and takes no such names',
  async (t) => {
    const layers = prepare(t, ['touch f g; mkdir -p d/e; touch d/e/f']);
    shell('mkdir -p d/e; touch d/e/.wh.f', layers.upper);
    for (let time = 0; time < 2; time++) {
      const overlay = await open(t, layers);
      t.strictSame(await overlay.readdir('/d/e'), []);
      await t.rejects(overlay.writeFile('/.wh.new', ''), { code: 'EINVAL' });
      await t.rejects(overlay.mkdir('/.wh.dir'), { code: 'EINVAL' });
      await t.rejects(overlay.rename('/g', '/.wh.f'), { code: 'EINVAL' });
      await t.rejects(overlay.lstat('/d/e/.wh.f'), { code: 'ENOENT' });
      await overlay.close();
    }
  },
);

t.test('whiteout=overlay takes names of the format for files in every layer', async (t) => {
  const layers = prepare(t, ['mkdir .wh..wh.plnk; touch .wh..wh.aufs f .wh.g', 'touch g']);
  const plain = await open(t, layers, { whiteout: 'overlay' });
  t.strictSame((await plain.readdir('/')).sort(), ['.wh..wh.aufs', '.wh..wh.plnk', '.wh.g', 'f', 'g']);
});

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
