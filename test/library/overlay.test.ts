// SPDX-License-Identifier: MIT
/** What the library has beside node:fs/promises, what of that it refuses, and what becomes of it when it is closed. */
import { constants, readdirSync } from 'node:fs';
import * as promises from 'node:fs/promises';
import { join, posix } from 'node:path';
import t from 'tap';
import { Overlay, OverlayError } from '../../lib/index.js';
import type { OverlayGlobOptions } from '../../lib/library/shape.js';
import { scratch, shell } from '../support/ground.js';
import { open, prepare } from '../support/overlay.js';

const TREE = `mkdir -p a/b/c a/.h d; touch a/1.txt a/2.md a/b/3.txt a/b/c/4.txt a/.h/5.txt .6.txt 7.txt d/8.TXT; ln -s a/b l
  touch 'd/[x]'; mkfifo fifo; ln -s nowhere dangling`;

async function all<Value>(of: AsyncIterable<Value>): Promise<Value[]> {
  const values: Value[] = [];
  for await (const value of of) values.push(value);
  return values;
}

t.test('every function of node:fs/promises and of FileHandle is there', async (t) => {
  const overlay = await open(t, prepare(t, [TREE]));
  for (const [name, member] of Object.entries(promises)) {
    // Newer versions of Node have more; what this library knows of is said in the README.
    if (typeof member !== 'function' || name === 'mkdtempDisposable') continue;
    t.type(overlay[name as 'stat'], 'function', name);
  }
  const own = await overlay.open('/7.txt');
  const theirs = await promises.open('/dev/null');
  for (const name of Object.getOwnPropertyNames(Object.getPrototypeOf(theirs))) {
    if (name === 'constructor' || name === 'getAsyncId' || name === 'fd') continue;
    t.type(own[name as 'stat'], 'function', `FileHandle.${name}`);
  }
  await theirs.close();
  await own.close();
});

t.test('what cannot be done without a mount is refused by name, with the remedy', async (t) => {
  const overlay = await open(t, prepare(t, [TREE]));
  t.throws(() => overlay.watch('/'), { code: 'ERR_METHOD_NOT_IMPLEMENTED', message: /mount the overlay/ });
  await t.rejects(overlay.lchmod('/l', 0o700), { code: 'ERR_METHOD_NOT_IMPLEMENTED' });
  const file = await overlay.open('/7.txt');
  t.throws(() => file.fd, { code: 'EOPNOTSUPP', message: /mount the overlay/ });
  await file.close();
  await t.rejects(overlay.open('/7.txt', constants.O_RDWR | constants.O_DIRECT), { code: 'EINVAL' });
  await t.rejects(overlay.readFile('/fifo'), { code: 'EOPNOTSUPP', message: /mount the overlay/ });
  await t.rejects(overlay.copyFile('/7.txt', '/9', constants.COPYFILE_FICLONE_FORCE), { code: 'EOPNOTSUPP' });
});

t.test('layers that are not a list of directories are refused in words', async (t) => {
  for (const layers of [undefined, {}, { lower: ['/tmp'] }, { lowers: '/tmp' }]) {
    await t.rejects(Overlay.open(layers as never), { message: /^lowers is not a list of directories/ });
  }
});

t.test('an error is one of Node and one of this library', async (t) => {
  const overlay = await open(t, prepare(t, [TREE]));
  const failure = await overlay.rename('/none', '/there').catch((error: OverlayError) => error);
  t.ok(failure instanceof OverlayError);
  t.match(failure, { code: 'ENOENT', errno: -2, syscall: 'rename', path: '/none', dest: '/there' });
});

t.test('glob finds what path.matchesGlob says', async (t) => {
  const overlay = await open(t, prepare(t, [TREE]));
  const every = await overlay.readdir('/', { recursive: true, withFileTypes: true });
  const paths = every.map(({ parentPath, name }) => posix.join(parentPath, name).slice(1));
  const patterns = [
    '*',
    '**',
    '**/*.txt',
    'a/*',
    'a/**/*.txt',
    'a/*.{txt,md}',
    'd/\\[x\\]',
    '[0-9]*',
    'a/b/c/4.txt',
    'a/.h/*',
    '.*',
    '?.txt',
    '**/c',
    'a/!(b)',
    '@(a|d)/*',
    'none/*',
    'a/1.txt/*',
  ]; // prettier-ignore
  for (const pattern of patterns) {
    const wanted = paths.filter((path) => posix.matchesGlob(path, pattern)).sort();
    t.strictSame((await all(overlay.glob(pattern))).sort(), wanted, pattern);
  }
  const found = async (pattern: string | string[], options: OverlayGlobOptions = {}): Promise<string[]> =>
    (await all(overlay.glob(pattern, options))).sort();
  t.strictSame(await found('l/*.txt'), ['l/3.txt'], 'through a symlink');
  t.strictSame(await found('/a/b/*.txt'), ['/a/b/3.txt'], 'an absolute pattern');
  t.strictSame(await found('./b/../*.md', { cwd: '/a' }), ['b/../2.md'], 'from a directory');
  t.strictSame(await found(['*.txt', '7*']), ['7.txt'], 'each path once');
  t.strictSame(await found('*/'), ['a', 'd'], 'directories alone');
  t.strictSame(
    await found('**/*.txt', { exclude: (path) => path === 'a/b' }),
    ['7.txt', 'a/1.txt'],
    'not entered',
  );
  t.strictSame(await found('**/*.txt', { exclude: ['a'] }), ['7.txt'], 'patterns are excluded');
  const [entry] = await all(overlay.glob('a/b', { withFileTypes: true }));
  t.strictSame([entry.name, entry.parentPath, entry.isDirectory()], ['b', '/a/', true]);
  await t.rejects(found('*/../x'), { code: 'ERR_INVALID_ARG_VALUE' });
});

t.test('a closed overlay refuses, though its descriptors are those of another by then', async (t) => {
  const [layers, others] = [prepare(t, [TREE]), prepare(t, [TREE])];
  const overlay = await Overlay.open(layers);
  const file = await overlay.open('/7.txt', 'r+');
  const directory = await overlay.opendir('/', { recursive: true });
  const stream = overlay.createReadStream('/7.txt');
  await overlay.close();
  const other = await open(t, others);
  const calls = [
    overlay.readFile('/7.txt'),
    overlay.writeFile('/new', 'x'),
    overlay.stat('/'),
    overlay.readdir('/'),
    overlay.mkdir('/m'),
    overlay.rm('/a', { recursive: true, force: true }),
    overlay.rename('/a', '/z'),
    overlay.changes(),
    overlay.explain('/a'),
    overlay.exists('/a'),
    overlay.getxattr('/a', 'user.x'),
    overlay.mknod('/n', 0o644),
    overlay.cp('/a', '/y', { recursive: true }),
    file.read(),
    file.write('x'),
    file.stat(),
    all(overlay.glob('*')),
    all(stream),
    overlay.statfs('/'),
  ]; // prettier-ignore
  for (const [index, answer] of (await Promise.allSettled(calls)).entries()) {
    t.match(answer, { status: 'rejected', reason: { code: 'EBADF' } }, `call ${index}`);
  }
  await directory.close();
  await file.close();
  await overlay.close();
  t.strictSame(readdirSync(others.upper), [], 'nothing came to the other');
  t.equal(await other.exists('/a/b/3.txt'), true, 'which still works');
});

t.test('closing waits for no file that is open, and gives back every descriptor', async (t) => {
  const layers = prepare(t, [TREE]);
  const before = readdirSync('/proc/self/fd').length;
  for (let round = 0; round < 3; round++) {
    await using overlay = await Overlay.open(layers);
    await overlay.open('/7.txt', 'a');
    await overlay.opendir('/a');
    await overlay.writeFile(`/round${round}`, 'x');
  }
  t.equal(readdirSync('/proc/self/fd').length, before);
});

t.test('changes are those of the layers that were opened, whatever becomes of their names', async (t) => {
  const base = scratch(t);
  shell('mkdir -p l u w elsewhere; echo x > l/f', base);
  const before = process.cwd();
  t.teardown(() => process.chdir(before));
  process.chdir(base);
  const set = { lowers: ['l'], upper: 'u', work: 'w' };
  await using overlay = await Overlay.open(set);
  await overlay.writeFile('/f', 'y');
  process.chdir(join(base, 'elsewhere'));
  set.lowers.length = 0;
  set.upper = 'none';
  t.strictSame(await overlay.changes(), [{ kind: 'C', path: '/f' }]);
});

t.test('explain speaks of what a path leads to by its own name', async (t) => {
  const overlay = await open(t, prepare(t, [TREE]));
  t.equal((await overlay.explain('/a/b/..')).from, (await overlay.explain('/a')).from);
  t.equal((await overlay.explain('/a/.')).from, (await overlay.explain('/a')).from);
  await t.rejects(overlay.explain(''), { code: 'ENOENT' });
  await t.rejects(overlay.explain('/a\0'), { code: 'ERR_INVALID_ARG_VALUE' });
});
