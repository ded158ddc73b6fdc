// SPDX-License-Identifier: MIT
/** Metacopies and data-only layers: what is copied when, and where data is found. */
import {
  closeSync,
  fchmodSync,
  fstatSync,
  fsyncSync,
  openSync,
  readFileSync,
  statSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { makeLayers, mountKernelOverlay, mountOurs, scratch, shell, until } from '../support/ground.js';
import { open, prepare } from '../support/overlay.js';

/** Bytes that a file of an upper takes on disk. */
const taken = (path: string): number => statSync(path).blocks * 512;
const marked = (path: string, mark: string): string =>
  shell(`getfattr -h --only-values -n trusted.overlay.${mark} ${path} 2>/dev/null || echo none`);

t.test('a change of owner or mode copies no data, the first write does', async (t) => {
  const layers = prepare(t, ['head -c 1000000 /dev/urandom > big; cp big same; setfattr -n user.x -v y big']);
  const overlay = await open(t, layers, { metacopy: true });
  const copy = join(layers.upper, 'big');
  await overlay.chmod('/big', 0o600);
  await overlay.chown('/big', 7, 8);
  t.equal(taken(copy), 0);
  t.equal(statSync(copy).size, 1_000_000);
  t.equal(marked(copy, 'metacopy'), '');
  const [top] = (await overlay.explain('/big')).layers;
  t.strictSame([top.role, top.metadataOnly], ['supplies', true]);
  t.strictSame(await overlay.readFile('/big'), await overlay.readFile('/same'));
  const { mode, uid, size, blocks } = await overlay.stat('/big');
  t.strictSame([mode & 0o777, uid, size, Number(blocks) > 1900], [0o600, 7, 1_000_000, true]);
  await overlay.write('/big', 'new', 0);
  t.ok(taken(copy) >= 1_000_000);
  t.equal(marked(copy, 'metacopy'), 'none\n');
  t.equal((await overlay.readFile('/big')).subarray(0, 3).toString(), 'new');
  t.equal((await overlay.stat('/big')).uid, 7);
});

t.test('a removed file that is open keeps its data when its mode is changed', async (t) => {
  const layers = prepare(t, ['echo data > f']);
  await mountOurs(t, layers, { metacopy: true });
  t.equal(
    shell(
      'exec 3<> f; rm f; chmod 600 /proc/self/fd/3; cat /proc/self/fd/3; echo more >> /proc/self/fd/3; cat /proc/self/fd/3',
      layers.target,
    ),
    'data\ndata\nmore\n',
  );
});

t.test('without the option the data comes along', async (t) => {
  const layers = prepare(t, ['head -c 100000 /dev/urandom > big']);
  const overlay = await open(t, layers);
  await overlay.chmod('/big', 0o600);
  t.ok(taken(join(layers.upper, 'big')) >= 100_000);
});

t.test('a metacopy is found after renames, links and a remount, also by the kernel', async (t) => {
  const layers = prepare(t, ['mkdir d; echo data > d/f; echo other > d/g']);
  const first = await open(t, layers, { metacopy: true });
  await first.chmod('/d/f', 0o640);
  await first.rename('/d/f', '/d/near');
  await first.link('/d/near', '/linked');
  await first.chmod('/d/g', 0o640);
  await first.rename('/d/g', '/far');
  t.equal(marked(join(layers.upper, 'far'), 'redirect'), '/d/g');
  await first.close();
  const expected = ['data\n', 'data\n', 'other\n'];
  const second = await open(t, layers, { metacopy: true });
  const names = ['/d/near', '/linked', '/far'];
  t.strictSame(await Promise.all(names.map((name) => second.readFile(name, 'utf8'))), expected);
  await second.close();
  mountKernelOverlay(t, layers, 'metacopy=on,redirect_dir=on');
  t.strictSame(
    names.map((name) => shell(`cat .${name}`, layers.target)),
    expected,
  );
});

t.test('data-only layers are reached by an absolute redirect alone', async (t) => {
  const base = scratch(t);
  const { lowers } = makeLayers(base, 3);
  shell('mkdir ab; echo content > ab/blob; echo more > ab/second', lowers[2]);
  shell('mkdir ab; echo first-wins > ab/second', lowers[1]);
  shell(
    'for n in one two lost; do truncate -s 8 $n; setfattr -n trusted.overlay.metacopy $n; done; setfattr -n trusted.overlay.redirect -v /ab/blob one; setfattr -n trusted.overlay.redirect -v /ab/second two; setfattr -n trusted.overlay.redirect -v /no/where lost',
    lowers[0],
  );
  const overlay = await open(
    t,
    { lowers: [lowers[0]], upper: join(base, 'upper'), work: join(base, 'work'), target: '' },
    { dataLowers: lowers.slice(1) },
  );
  t.strictSame((await overlay.readdir('/')).sort(), ['lost', 'one', 'two'], 'nothing of them is seen');
  t.equal(await overlay.readFile('/one', 'utf8'), 'content\n');
  t.equal((await overlay.readFile('/two', 'utf8')).slice(0, 5), 'first');
  await t.rejects(overlay.readFile('/lost'), { code: 'EIO' });
  await overlay.appendFile('/one', 'more');
  t.equal(await overlay.readFile('/one', 'utf8'), 'content\nmore');
});

t.test('a hostile metacopy costs an error', async (t) => {
  const overlay = await open(
    t,
    prepare(t, [
      'for n in up out dir bad loop; do echo x > $n; setfattr -n trusted.overlay.metacopy $n; done; setfattr -n trusted.overlay.redirect -v /../f up; setfattr -n trusted.overlay.redirect -v ../f out; setfattr -n trusted.overlay.redirect -v /d dir; setfattr -n trusted.overlay.metacopy -v ab bad; setfattr -n trusted.overlay.redirect -v /loop loop',
      'mkdir d; echo secret > f',
    ]),
  );
  for (const name of ['up', 'out', 'dir', 'bad', 'loop'])
    await t.rejects(overlay.readFile(`/${name}`), { code: 'EIO' }, name);
});

t.test('redirect_dir decides whether a redirect is made and followed', async (t) => {
  const layers = prepare(t, [
    'mkdir new; setfattr -n trusted.overlay.redirect -v old new',
    'mkdir old low; touch old/f',
  ]);
  const follow = await open(t, layers, { redirectDir: 'follow' });
  t.strictSame(await follow.readdir('/new'), ['f']);
  await t.rejects(follow.rename('/low', '/moved'), { code: 'EXDEV' });
  await follow.close();
  const refused = await open(t, layers, { redirectDir: 'nofollow' });
  await t.rejects(refused.readdir('/new'), { code: 'EPERM' });
  await t.rejects(
    open(t, layers, { metacopy: true, redirectDir: 'off' }),
    /metacopy=on does not go with redirect_dir=off/,
  );
});

t.test('a renamed directory inside another, in layers that were uppers, is found', async (t) => {
  const layers = prepare(t, [
    'mkdir top; setfattr -n trusted.overlay.redirect -v /x/y top',
    'mkdir -p x/y; touch x/y/middle; setfattr -n trusted.overlay.redirect -v /old x',
    'mkdir -p old/y x/y; touch old/y/bottom x/y/not',
  ]);
  const overlay = await open(t, layers);
  t.strictSame((await overlay.readdir('/top')).sort(), ['bottom', 'middle']);
});

/** An open file without a name, of which the upper has metadata only. */
async function nameless(t: Test, content: string) {
  const layers = makeLayers(scratch(t), 1);
  writeFileSync(join(layers.lowers[0], 'file'), content);
  const live = await mountOurs(t, layers, { metacopy: true });
  const path = join(live.target, 'file');
  const fd = openSync(path, 'r+');
  t.teardown(() => closeSync(fd));
  const killServer = async (): Promise<void> => {
    const serverPid = live.server();
    process.kill(serverPid, 'SIGKILL');
    await until(() => live.server() !== serverPid, 'another server');
  };
  return { path, fd, killServer };
}

t.test('a nameless file that was changed has its data from below also by the next server', async (t) => {
  const content = 'data of the lower layer '.repeat(1000);
  const { path, fd, killServer } = await nameless(t, content);
  unlinkSync(path);
  fchmodSync(fd, 0o600);
  await killServer();
  t.equal(fstatSync(fd).mode & 0o777, 0o600);
  t.equal(readFileSync(fd, 'utf8'), content);
});

t.test('what was written to a nameless metacopy is there by the next server', async (t) => {
  const content = 'data of the lower layer '.repeat(1000);
  for (const changeFirst of [false, true]) {
    const { path, fd, killServer } = await nameless(t, content);
    if (changeFirst) fchmodSync(fd, 0o600);
    unlinkSync(path);
    if (!changeFirst) fchmodSync(fd, 0o600);
    writeSync(fd, 'DATA', 0);
    fsyncSync(fd);
    shell('echo 1 > /proc/sys/vm/drop_caches');
    await killServer();
    t.equal(
      readFileSync(fd, 'utf8'),
      `DATA${content.slice(4)}`,
      changeFirst ? 'changed first' : 'removed first',
    );
  }
});
