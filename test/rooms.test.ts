// SPDX-License-Identifier: MIT
/** The law of the rooms: who may import whom (CONTRIBUTING.md), koffi in one room only, tests whose titles are claims. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import t from 'tap';

const lib = resolve('lib');

const allowed: Record<string, readonly string[]> = {
  base: [],
  sys: ['base'],
  fuse: ['base', 'sys'],
  overlay: ['base', 'sys'],
  supervise: ['base', 'sys'],
  mount: ['base', 'sys', 'fuse', 'overlay', 'supervise'],
  library: ['base', 'sys', 'overlay'],
  image: ['base', 'sys', 'overlay'],
  container: ['base', 'sys', 'overlay', 'supervise', 'mount', 'image'],
  build: ['base', 'sys', 'overlay', 'supervise', 'mount', 'image', 'container'],
  cli: ['base', 'sys', 'fuse', 'overlay', 'supervise', 'mount', 'library', 'image', 'container', 'build'],
};

interface Import {
  file: string;
  target: string;
}

function importsOf(file: string): Import[] {
  const source = readFileSync(file, 'utf8');
  const targets = [...source.matchAll(/(?:from|import\(|require\(|import\.meta\.url\)\()\s*'([^']+)'/g)];
  return targets.map((match) => ({ file: relative(lib, file), target: match[1] }));
}

const sources = readdirSync(lib, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts'))
  .map((name) => join(lib, name));
const imports = sources.flatMap(importsOf);

/** Imports of files of lib by files of lib, types included. */
const edges = imports.flatMap(({ file, target }) =>
  target.startsWith('.') ? [{ from: file, to: join(dirname(file), target).replace(/\.js$/, '.ts') }] : [],
);

/** The folders of rooms that have several; each imports only those before it. */
const folders: Record<string, readonly string[]> = {
  overlay: [
    'formats',
    'layers',
    'journal',
    'nodes',
    'names',
    'copy-up',
    'data',
    'changes',
    'open',
    'inspect',
  ],
  image: [
    'model',
    'tar',
    'unpack',
    'pack',
    'store',
    'credentials',
    'connection',
    'registry',
    'transfer',
    'archive',
  ],
  container: [
    'spec',
    'state',
    'storage',
    'cgroup',
    'wire',
    'network',
    'runtime',
    'stage',
    'runtimes',
    'program',
    'upkeep',
    'server',
  ],
  build: ['language', 'plan', 'source', 'copy', 'run', 'stage'],
  cli: ['commands', 'words', 'mount', 'image', 'container', 'build'],
};

t.test('every room imports only the rooms that it may', async (t) => {
  let seen = 0;
  for (const { file, target } of imports) {
    if (!target.startsWith('.')) continue;
    const room = file.split('/')[0];
    const other = relative(lib, resolve(lib, dirname(file), target)).split('/')[0];
    if (!file.includes('/') || room === other) continue;
    seen++;
    t.ok(allowed[room]?.includes(other), `${file} imports ${target}`);
  }
  t.ok(seen > 100, `${seen} imports between rooms were looked at`);
});

/** A way from a file back to itself, or undefined. */
function circleFrom(start: string): string[] | undefined {
  const seen = new Set<string>();
  const visit = (file: string, way: string[]): string[] | undefined => {
    for (const { from, to } of edges) {
      if (from !== file) continue;
      if (to === start) return [...way, file, start];
      if (seen.has(to)) continue;
      seen.add(to);
      const found = visit(to, [...way, file]);
      if (found !== undefined) return found;
    }
    return undefined;
  };
  return visit(start, []);
}

t.test('no file imports itself through others, types included', async (t) => {
  for (const file of sources) t.same(circleFrom(relative(lib, file)), undefined);
});

t.test('a folder in a room imports only the folders before it', async (t) => {
  for (const [room, order] of Object.entries(folders)) {
    const present = readdirSync(join(lib, room), { withFileTypes: true }).filter((entry) =>
      entry.isDirectory(),
    );
    t.strictSame(present.map(({ name }) => name).sort(), [...order].sort());
    for (const { from, to } of edges) {
      const [[room1, folder1, file1], [room2, folder2, file2]] = [from.split('/'), to.split('/')];
      if (room1 !== room || room2 !== room || file1 === undefined || folder1 === folder2) continue;
      const goesUp = file2 === undefined || order.indexOf(folder2) > order.indexOf(folder1);
      t.notOk(goesUp, `${from} imports ${to}`);
    }
  }
});

t.test('every folder of lib is a room with a README of at most a page', async (t) => {
  const rooms = readdirSync(lib, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  t.strictSame(rooms.map(({ name }) => name).sort(), Object.keys(allowed).sort());
  for (const { name } of rooms) {
    const lines = readFileSync(join(lib, name, 'README.md'), 'utf8').split('\n').length;
    t.ok(lines <= 60, `lib/${name}/README.md has ${lines} lines`);
  }
});

t.test('only lib/sys imports koffi', async (t) => {
  const users = imports.filter(({ target }) => target === 'koffi').map(({ file }) => file);
  t.strictSame([...new Set(users)], ['sys/libc.ts']);
});

t.test('no file of lib is longer than 400 lines', async (t) => {
  for (const file of sources) {
    const lines = readFileSync(file, 'utf8').split('\n').length;
    t.ok(lines <= 400, `${relative(lib, file)} has ${lines} lines`);
  }
});

/** Those that titles have; a title with another verb adds it. */
const VERBS = new Set(
  `is are was were has have had does do can cannot may must
   agree answers asks begins breaks builds change changes clears come comes copies copy cost costs count counts decides depends dies does
   end ends excludes exclude exhaust fails fetches find finds follow follows gets give gives goes go hands has hears hide hides hold holds
   imports inherits keep keeps lead leads leave leaves let lets lies listens lists load look looks lose loses
   make makes match mean means merge mounts need needs opens outlives passes prints pulls reach reaches read reads refuses
   replaces runs says see sees serves set share shares show shows speaks start starts stay stays stops supplies survive
   survives take takes tell tells touches undoes unmount use uses waits work works`.split(/\s+/),
);

t.test('the title of a test has a verb, as a claim does', async (t) => {
  const files = readdirSync('test', { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('.test.ts'),
  );
  let seen = 0;
  for (const file of files) {
    const source = readFileSync(join('test', file), 'utf8');
    for (const [, , title] of source.matchAll(/\bt\.test\(\s*(['"`])((?:\\.|(?!\1).)*)\1/g)) {
      seen++;
      t.ok(
        title.split(/[^\w]+/).some((word) => VERBS.has(word)),
        `${file}: ${title}`,
      );
    }
  }
  t.ok(seen > 400, `${seen} titles were looked at`);
});
