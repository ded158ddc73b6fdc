// SPDX-License-Identifier: MIT
/** Where nobody says otherwise an upper gets an index if it can hold one; where it cannot, the mount says why. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { readRecords } from '../../lib/mount/records.js';
import {
  type Layers,
  layersOn,
  makeLayers,
  mountKernelOverlay,
  mountOurs,
  publicCheckout,
  run,
  scratch,
  shell,
  until,
} from '../support/ground.js';
import { open, prepare } from '../support/overlay.js';

const program = join(process.cwd(), 'bin/tsoverlay');
const LINKED = 'mkdir d; echo one > a; ln a b; ln a d/c; echo alone > s';
const READ_ALL = 'cat a b d/c; stat -c %h a b d/c';

/** Of a mount of the layers as they are: why it has no index; null where it has one. */
async function reasonWithout(
  t: Test,
  layers: Layers,
  options: Parameters<typeof mountOurs>[2] = {},
): Promise<string | null> {
  const live = await mountOurs(t, layers, options);
  const record = readRecords().findLast(({ target }) => target === layers.target)!;
  t.equal(record.index, record.noIndexBecause === null, 'the two figures agree');
  await live.unmount();
  return record.noIndexBecause;
}

t.test('a change through a mount is seen by every name, now and after another mount', async (t) => {
  const layers = prepare(t, [LINKED]);
  const first = await mountOurs(t, layers);
  const seen = 'one\ntwo\n'.repeat(3) + '3\n'.repeat(3);
  t.equal(shell(`echo two >> b; ${READ_ALL}`, layers.target), seen);
  await first.unmount();
  const second = await mountOurs(t, layers);
  t.equal(shell(READ_ALL, layers.target), seen);
  t.equal(shell('rm b; echo three >> d/c; cat a; stat -c %h a', layers.target), 'one\ntwo\nthree\n2\n');
  await second.unmount();
  const readOnly = await mountOurs(t, layers, { readOnly: true });
  t.equal(shell('cat a d/c; test ! -e b', layers.target), 'one\ntwo\nthree\n'.repeat(2));
  await readOnly.unmount();
});

t.test('a volatile mount has one too, and whoever takes the mark away has all names of it', async (t) => {
  const layers = prepare(t, [LINKED]);
  const volatile = await mountOurs(t, layers, { volatile: true });
  const seen = 'one\ntwo\n'.repeat(3) + '3\n'.repeat(3);
  t.equal(shell(`echo two >> b; ${READ_ALL}`, layers.target), seen);
  await volatile.unmount();
  await t.rejects(mountOurs(t, layers), /upper was mounted volatile and may be incomplete/);
  t.not(readdirSync(join(layers.work, 'index')).length, 0, 'a refused mount leaves the index as it is');
  rmSync(join(layers.work, 'work/incompat/volatile'), { recursive: true });
  const kept = await mountOurs(t, layers);
  t.equal(shell(READ_ALL, layers.target), seen);
  await kept.unmount();
});

t.test('another server goes on with it', async (t) => {
  const layers = prepare(t, [LINKED]);
  const live = await mountOurs(t, layers);
  shell('echo two >> b', layers.target);
  process.kill(live.serverPid, 'SIGKILL');
  await until(() => live.server() !== live.serverPid, 'another server');
  t.equal(shell(`echo three >> d/c; cat a; ${READ_ALL}`, layers.target).split('three\n').length, 5);
  t.strictSame(
    readRecords().map(({ index, noIndexBecause }) => [index, noIndexBecause]),
    [[true, null]],
  );
  await live.unmount();
});

t.test('the library keeps links together over copy-up, and over a close', async (t) => {
  const layers = prepare(t, [LINKED]);
  const overlay = await open(t, layers);
  await overlay.appendFile('/d/c', 'two\n');
  t.equal(await overlay.readFile('/a', 'utf8'), 'one\ntwo\n');
  await overlay.close();
  const again = await open(t, layers);
  t.equal(await again.readFile('/b', 'utf8'), 'one\ntwo\n');
  t.strictSame(
    (await again.changes()).map(({ kind, path }) => `${kind} ${path}`),
    ['C /a', 'C /b', 'C /d', 'C /d/c'],
  );
});

t.test('the kernel goes on with it, with an index and without', async (t) => {
  const layers = prepare(t, [LINKED]);
  const live = await mountOurs(t, layers);
  shell('echo two >> a', layers.target);
  await live.unmount();
  const seen = (options: string): string => {
    const { lowers, upper, work, target } = layers;
    const all = `lowerdir=${lowers.join(':')},upperdir=${upper},workdir=${work},${options}`;
    run('mount', '-t', 'overlay', 'overlay', '-o', all, target);
    try {
      return shell('cat a b', target);
    } finally {
      run('umount', target);
    }
  };
  t.equal(seen('index=on'), 'one\ntwo\none\ntwo\n');
  t.equal(seen('index=off'), 'one\ntwo\none\n', 'there the name that was not touched shows the lower file');
  const again = await mountOurs(t, layers);
  t.equal(shell('cat a b', layers.target), 'one\ntwo\none\ntwo\n');
  await again.unmount();
});

/** What every command that reads the changes of an upper beside its mount says. */
t.test('diff, explain, export and commit show a change by all names of the file', async (t) => {
  const layers = prepare(t, [LINKED]);
  const live = await mountOurs(t, layers);
  shell('echo two >> b; mkdir n; mv d moved; rm a', layers.target);
  const { base, target } = layers;
  const env = { ...process.env, TSOVERLAY_ROOT: join(base, 'store') };
  const tsoverlay = (...args: string[]): string => {
    const { status, stdout, stderr } = spawnSync(program, args, { env, encoding: 'utf8', cwd: base });
    if (status !== 0) throw new Error(stderr);
    return stdout;
  };
  const expected = ['D /a', 'C /b', 'D /d', 'A /moved', 'A /moved/c', 'A /n', ''].join('\n');
  t.equal(tsoverlay('diff', target), expected);
  t.match(tsoverlay('explain', join(target, 'moved/c')), /file from \S+upper\n/);
  const unpacked = 'mkdir out; tar -x -C out; cat out/b out/moved/c; test out/b -ef out/moved/c; rm -r out';
  const list = (archive: string): string => shell(`${archive} | { ${unpacked}; }`, base);
  t.equal(list(`${program} export ${target}`), 'one\ntwo\n'.repeat(2));
  tsoverlay('import', layers.lowers[0], 'base:1');
  tsoverlay('commit', '--image', 'base:1', target, 'new:1');
  t.equal(list(`${program} export --root ${base}/store new:1`), 'one\ntwo\n'.repeat(2));
  await live.unmount();
});

t.test('an upper that nobody has mounted is committed with all names, or not at all', async (t) => {
  const layers = prepare(t, [LINKED]);
  const { base, target, upper, work } = layers;
  const store = ['--root', join(base, 'store')];
  run(program, 'import', ...store, layers.lowers[0], 'base:1');
  run(program, 'mount', ...store, '--image', 'base:1', '--upper', upper, '--work', work, target);
  shell('echo two >> b', target);
  run(program, 'unmount', target);
  run(program, 'commit', ...store, '--image', 'base:1', upper, 'new:1');
  shell('mkdir out', base);
  shell(`${program} export ${store.join(' ')} new:1 | tar -x -C out`, base);
  t.equal(shell(READ_ALL, join(base, 'out')), 'one\ntwo\n'.repeat(3) + '3\n'.repeat(3));
  shell('echo x > lower0/x', base);
  run(program, 'import', ...store, layers.lowers[0], 'other:1');
  t.throws(
    () => run(program, 'commit', ...store, '--image', 'other:1', upper, 'new:2'),
    /only the layers know that it was mounted over; mount it over these, and give the mount/,
  );
});

t.test('a name in a directory that the upper lacks goes into the layer with its directory', async (t) => {
  const layers = prepare(t, ['mkdir -p d/e; echo one > d/e/a; ln d/e/a b; chmod 700 d']);
  const live = await mountOurs(t, layers);
  shell('echo two >> b', layers.target);
  const { base, target } = layers;
  t.equal(run(program, 'diff', target), 'C /b\nC /d\nC /d/e\nC /d/e/a\n');
  const store = ['--root', join(base, 'store')];
  run(program, 'import', ...store, layers.lowers[0], 'base:1');
  run(program, 'commit', ...store, '--image', 'base:1', target, 'new:1');
  run(program, 'save', ...store, '-o', join(base, 'new.tar'), 'new:1');
  const layer = `mkdir out; tar -x -C out -f new.tar; cd out
    last=$(python3 -c 'import json; print(json.load(open("manifest.json"))[0]["Layers"][-1])')
    tar -tvf $last | awk '{ print $1, $6, $7, $8, $9 }'`;
  t.equal(
    shell(layer, base),
    '-rw-r--r-- b   \ndrwx------ d/   \ndrwxr-xr-x d/e/   \nhrw-r--r-- d/e/a link to b\n',
  );
  await live.unmount();
});

t.test(
  'a name that is removed is not copied for the count; with index=on it is, as in the kernel',
  async (t) => {
    const layers = prepare(t, ['echo one > a; ln a b; echo two > c; ln c d; touch new']);
    const live = await mountOurs(t, layers);
    shell('rm a; mv new c; test $(stat -c %h b) = 1; test $(stat -c %h d) = 1', layers.target);
    t.strictSame(readdirSync(join(layers.work, 'index')), []);
    t.equal(shell('echo more >> b; cat b d; stat -c %h b', layers.target), 'one\nmore\ntwo\n1\n');
    await live.unmount();
    const exact = { ...layers, ...prepare(t, ['echo one > a; ln a b']) };
    const counted = await mountOurs(t, exact, { index: true });
    shell('rm a', exact.target);
    t.equal(readdirSync(join(exact.work, 'index')).length, 1);
    await counted.unmount();
  },
);

t.test('an upper that was emptied begins anew, also over other layers', async (t) => {
  const layers = prepare(t, [LINKED, 'echo other > a; ln a b']);
  const [one, other] = layers.lowers;
  const first = await mountOurs(t, { ...layers, lowers: [one] });
  shell('echo changed > a', layers.target);
  await first.unmount();
  shell('rm -rf * .[!.]*', layers.upper);
  const second = await mountOurs(t, { ...layers, lowers: [one] });
  t.equal(shell(READ_ALL, layers.target), 'one\n'.repeat(3) + '3\n'.repeat(3));
  shell('echo changed > a', layers.target);
  await second.unmount();
  shell('rm -rf * .[!.]*', layers.upper);
  t.equal(await reasonWithout(t, { ...layers, lowers: [other] }), null);
});

t.test('an upper that goes on over other layers goes on without, and nothing is refused', async (t) => {
  const layers = prepare(t, [LINKED, 'echo other > a; ln a b']);
  const [one, other] = layers.lowers;
  const first = await mountOurs(t, { ...layers, lowers: [one] });
  shell('echo changed > a', layers.target);
  await first.unmount();
  t.equal(
    await reasonWithout(t, { ...layers, lowers: [other] }),
    'its index was made over another lower layer',
  );
  shell(`mv upper kept; cp -a kept upper`, layers.base);
  t.equal(await reasonWithout(t, { ...layers, lowers: [one] }), 'it belongs to another upper directory');
  rmSync(layers.upper, { recursive: true });
  shell('mv kept upper', layers.base);
  t.equal(await reasonWithout(t, { ...layers, lowers: [one] }), null, 'as it was');
});

t.test('an upper that was used without an index goes on without', async (t) => {
  const layers = prepare(t, [LINKED]);
  t.equal(await reasonWithout(t, layers, { index: false }), 'index=off is given');
  shell('touch own', layers.upper);
  t.equal(await reasonWithout(t, layers), 'the upper was used without an index before');
  const overlay = await open(t, layers);
  await overlay.appendFile('/a', 'two\n');
  t.equal(await overlay.readFile('/b', 'utf8'), 'one\n');
  await overlay.close();
  t.equal(await reasonWithout(t, layers, { index: true }), null, 'unless it is asked for');
});

t.test('an explicit index=off on an upper with one shows what the kernel shows with it', async (t) => {
  const layers = prepare(t, [LINKED]);
  const first = await mountOurs(t, layers);
  shell('echo two >> a', layers.target);
  await first.unmount();
  const off = await mountOurs(t, layers, { index: false });
  t.equal(shell('cat a b', layers.target), 'one\ntwo\none\n');
  t.equal(run(program, 'diff', layers.target), 'C /a\n', 'and diff says the same');
  await off.unmount();
});

t.test('AUFS whiteouts, no lower layer: there is none', async (t) => {
  const layers = prepare(t, [LINKED]);
  t.equal(await reasonWithout(t, layers, { whiteout: 'aufs' }), 'whiteouts are .wh. files there');
  rmSync(layers.upper, { recursive: true });
  mkdirSync(layers.upper);
  t.equal(await reasonWithout(t, { ...layers, lowers: [] }), 'there is no lower layer');
});

t.test('a file system without lasting file handles is not trusted with one', async (t) => {
  const base = scratch(t);
  const below = makeLayers(join(base, 'below'), 1);
  shell(LINKED, below.lowers[0]);
  await mountOurs(t, below);
  const layers = { ...makeLayers(base, 0), lowers: [below.target] };
  t.match(await reasonWithout(t, layers), /below\/merged: file handles of a FUSE file system do not outlive/);

  const kernel = makeLayers(join(base, 'kernel'), 1);
  shell(LINKED, kernel.lowers[0]);
  mountKernelOverlay(t, kernel, 'index=off');
  const nested = { ...makeLayers(join(base, 'nested'), 0), lowers: [kernel.target] };
  t.match(await reasonWithout(t, nested), /kernel\/merged: its file system has no file handles/);
  await t.rejects(mountOurs(t, nested, { index: true }), /no file handles; leave index=on out/);
});

t.test('lower file systems that no UUID tells apart share no index', async (t) => {
  const layers = layersOn(t, (ground) => run('mount', '-t', 'tmpfs', 'tsoverlay-test', ground));
  const lowers = ['one', 'other'].map((name) => join(layers.base, name));
  for (const lower of lowers) mkdirSync(lower);
  // A file system and its copy: handles of the one are those of the other.
  shell(
    'mkdir tree; echo one > tree/a; ln tree/a tree/b; mkfs.ext4 -q -d tree image 4M; cp image copy',
    layers.base,
  );
  for (const [at, lower] of lowers.entries()) {
    run('mount', '-o', 'loop,ro', join(layers.base, ['image', 'copy'][at]), lower);
    t.teardown(() => run('umount', lower));
  }
  t.equal(await reasonWithout(t, { ...layers, lowers: [lowers[0]] }), null, 'one alone can have an index');
  t.match(await reasonWithout(t, { ...layers, lowers }), /no UUID tells its file system from that of/);
  await t.rejects(mountOurs(t, { ...layers, lowers }, { index: true }), /no UUID .*; leave index=on out/);
});

/** Opens an overlay over what `base` has as somebody else, changes it, and prints what it shows. */
function changedBy(base: string, checkout: string, ...as: string[]): string {
  const script = `
    import { Overlay } from '${checkout}/dist/lib/index.js';
    const layers = { lowers: ['lower0'], upper: 'upper', work: 'work' };
    let overlay = await Overlay.open(layers);
    await overlay.rename('/b', '/moved');
    await overlay.chmod('/a', 0o600);
    await overlay.appendFile('/a', 'two;');
    await overlay.unlink('/l');
    await overlay.close();
    overlay = await Overlay.open(layers);
    const texts = await Promise.all(['/d/c', '/moved', '/a'].map((name) => overlay.readFile(name, 'utf8')));
    await overlay.appendFile('/d/c', 'three;');
    console.log(...texts, await overlay.readFile('/moved', 'utf8'), (await overlay.lstat('/l2')).isSymbolicLink());
    await overlay.close();
  `;
  const args = [...as, process.execPath, '--input-type=module', '-e', script];
  const { status, stdout, stderr } = spawnSync(args[0], args.slice(1), { cwd: base, encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
  return stdout;
}

t.test('root of a user namespace has an index for files, an ordinary user has none', async (t) => {
  const fill = 'mkdir d; printf "one;" > a; ln a b; ln a d/c; ln -s a l; ln -P l l2';
  const user = ['setpriv', '--reuid=1234', '--regid=1234', '--clear-groups'];
  for (const [name, as, expected] of [
    [
      'root',
      [...user, 'unshare', '--user', '--map-root-user'],
      'one;two; one;two; one;two; one;two;three; true\n',
    ],
    ['ordinary', user, 'one; one; one;two; one; true\n'],
  ] as const) {
    const { base } = prepare(t, [fill]);
    shell(`chown -hR 1234:1234 .; chmod ${name === 'root' ? 400 : 600} lower0/a`, base);
    t.equal(changedBy(base, publicCheckout(t, base), ...as), expected, name);
  }
});

t.test('mount --debug and mounts --json say whether links are kept', async (t) => {
  const layers = prepare(t, [LINKED]);
  const { lowers, upper, work, target } = layers;
  const flags = ['mount', '--debug', '--lower', lowers[0], '--upper', upper, '--work', work, target];
  const said = (...more: string[]): [string, unknown[]] => {
    const { stderr } = spawnSync(program, [...more, ...flags], { encoding: 'utf8' });
    const listed = JSON.parse(run(program, 'mounts', '--json')) as Record<string, unknown>[];
    run(program, 'unmount', target);
    return [stderr, listed.map(({ index, noIndexBecause }) => [index, noIndexBecause])];
  };
  const [kept, known] = said();
  t.match(kept, /hard links of lower layers are kept \(index\)/);
  t.strictSame(known, [[true, null]]);
  flags.splice(1, 0, '-o', 'index=off');
  const [broken, unknown] = said();
  t.match(broken, /hard links of lower layers break at copy-up: index=off is given/);
  t.strictSame(unknown, [[false, 'index=off is given']]);
});
