// SPDX-License-Identifier: MIT
/** index=on: what is one file in a lower layer stays one. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { mountKernelOverlay, mountOurs, shell } from '../support/ground.js';
import { open, prepare } from '../support/overlay.js';

const LINKED = 'mkdir d; echo one > a; ln a b; ln a d/c';

t.test('a change by one name is seen by all, and the number of names is right', async (t) => {
  const layers = prepare(t, [LINKED]);
  const overlay = await open(t, layers, { index: true });
  const before = await overlay.stat('/a', { bigint: true });
  await overlay.appendFile('/a', 'two');
  for (const name of ['/a', '/b', '/d/c']) {
    t.equal(await overlay.readFile(name, 'utf8'), 'one\ntwo', name);
    const { nlink, ino } = await overlay.stat(name, { bigint: true });
    t.strictSame([Number(nlink), ino], [3, before.ino], name);
  }
  await overlay.link('/b', '/new');
  await overlay.unlink('/d/c');
  await overlay.unlink('/a');
  t.equal(Number((await overlay.stat('/new')).nlink), 2);
  t.equal(await overlay.readFile('/new', 'utf8'), 'one\ntwo');
});

t.test('it stays so over a remount, and the kernel sees the same', async (t) => {
  const layers = prepare(t, [LINKED]);
  const first = await open(t, layers, { index: true });
  await first.writeFile('/b', 'changed');
  await first.unlink('/a');
  const { ino } = await first.stat('/b', { bigint: true });
  await first.close();
  const second = await open(t, layers, { index: true });
  t.equal(await second.readFile('/d/c', 'utf8'), 'changed');
  t.strictSame(
    [Number((await second.stat('/d/c')).nlink), (await second.stat('/d/c', { bigint: true })).ino],
    [2, ino],
  );
  await second.close();
  mountKernelOverlay(t, layers, 'index=on');
  t.equal(shell('cat d/c; stat -c %h d/c b; test ! -e a', layers.target), 'changed2\n2\n');
});

t.test('after the last name the index is empty, and who has it open goes on', async (t) => {
  const layers = { ...prepare(t, ['echo one > a; ln a b']) };
  const live = await mountOurs(t, layers, { index: true });
  const index = join(layers.work, 'index');
  t.equal(
    shell(
      `exec 3<>a; echo two >> b; rm a b; echo three >&3; stat -L -c %h /proc/self/fd/3; cat /proc/self/fd/3`,
      layers.target,
    ),
    '0\nthree\no\n',
  );
  await live.unmount();
  t.strictSame(readdirSync(index), []);
});

t.test('with index=off a change breaks the link, as with kernel overlayfs', async (t) => {
  const overlay = await open(t, prepare(t, [LINKED]), { index: false });
  await overlay.appendFile('/a', 'two');
  t.equal(await overlay.readFile('/b', 'utf8'), 'one\n');
});

t.test('an index that belongs to other layers is refused', async (t) => {
  const layers = prepare(t, [LINKED, 'touch x']);
  const first = await open(t, { ...layers, lowers: [layers.lowers[0]] }, { index: true });
  await first.close();
  await t.rejects(open(t, { ...layers, lowers: [layers.lowers[1]] }, { index: true }), {
    code: 'ESTALE',
    message:
      /its index was made over another lower layer; give the layers it was made with, or leave index=on out/,
  });
});

t.test('a rename over one of the names, and of one, keep the others', async (t) => {
  const layers = prepare(t, [LINKED]);
  const overlay = await open(t, layers, { index: true });
  await overlay.writeFile('/other', 'other');
  await overlay.rename('/other', '/b');
  await overlay.rename('/d/c', '/moved');
  t.strictSame((await overlay.readdir('/')).sort(), ['a', 'b', 'd', 'moved']);
  await overlay.appendFile('/moved', '!');
  t.equal(await overlay.readFile('/a', 'utf8'), 'one\n!');
  t.equal(Number((await overlay.stat('/a')).nlink), 2);
  t.equal(await overlay.readFile('/b', 'utf8'), 'other');
});
