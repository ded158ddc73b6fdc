// SPDX-License-Identifier: MIT
/** Node's documentation of fs/promises, function by function and option by option, as cases. */
import { constants } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { type Case, tried } from '../support/three-grounds.js';

const { O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_RDWR, O_TRUNC, O_WRONLY } = constants;
/** For arguments that the types do not allow. */
const wrong = <Value>(value: unknown): Value => value as Value;

/** How a path may be written that names something in another way than by its plain name. */
const SPELLINGS = [
  'file',
  'file/',
  'file/.',
  'dir',
  'dir/',
  'dir/.',
  'dir/..',
  'dir/sub/..',
  'dir//inner',
  'dlink',
  'dlink/',
  'dlink/.',
  'flink',
  'flink/',
  'dangling',
  'dangling/',
  'loop',
  'loop/x',
  'none',
  'none/',
  'none/.',
  'none/x',
  'none/..',
  'file/x',
  'through',
  'through/',
  'dir/../file',
  `${'n'.repeat(256)}`,
  `dir/${'x/'.repeat(2100)}`,
  '.',
  './file',
]; // prettier-ignore

type Act = (fs: Parameters<Case>[0], path: string, at: string) => unknown;

/** One case for each way to write a path, and for none at all. */
function everySpelling(act: Act): Record<string, Case> {
  const spelled = SPELLINGS.map((path): [string, Case] => [
    path.length > 20 ? `${path.slice(0, 10)}…` : path,
    (fs, at) => act(fs, `${at}/${path}`, at),
  ]);
  const more: [string, Case][] = [
    ['the empty path', (fs, at) => act(fs, '', at)],
    ['a zero byte', (fs, at) => act(fs, `${at}/a\0b`, at)],
    ['no path', (fs, at) => act(fs, wrong(undefined), at)],
    ['a number', (fs, at) => act(fs, wrong(3), at)],
    ['bytes', (fs, at) => act(fs, wrong(Buffer.from(`${at}/file`)), at)],
    ['bytes with a zero byte', (fs, at) => act(fs, wrong(Buffer.from(`${at}/a\0b`)), at)],
    ['a URL', (fs, at) => act(fs, wrong(pathToFileURL(`${at}/file`)), at)],
    ['a URL of the web', (fs, at) => act(fs, wrong(new URL('http://localhost/file')), at)],
  ];
  return Object.fromEntries([...spelled, ...more]);
}

const textual = (path: string): string => (Buffer.isBuffer(path) ? path.toString() : path);

const octal = (mode: number): string => (mode & 0o7777).toString(8);

const shape = async (fs: Parameters<Case>[0], path: string, follows: boolean): Promise<unknown> => {
  const { mode, size, nlink } = follows ? await fs.stat(path) : await fs.lstat(path);
  return [mode.toString(8), (mode & 0o170000) === 0o100000 ? [size, nlink] : 0];
};

/** All that lies below a directory, with types, modes, contents and targets. */
export async function treeOf(fs: Parameters<Case>[0], path: string): Promise<string[]> {
  const found: string[] = [];
  for (const name of (await fs.readdir(path)).sort()) {
    const below = `${path}/${name}`;
    const stat = await fs.lstat(below);
    const kind = stat.isDirectory()
      ? 'd'
      : stat.isSymbolicLink()
        ? await fs.readlink(below)
        : await fs.readFile(below);
    found.push(`${name} ${octal(stat.mode)} ${kind}`);
    if (stat.isDirectory()) found.push(...(await treeOf(fs, below)).map((one) => `${name}/${one}`));
  }
  return found;
}

export const pathCases: Record<string, Record<string, Case>> = {
  stat: everySpelling((fs, path) => shape(fs, path, true)),
  lstat: everySpelling((fs, path) => shape(fs, path, false)),
  access: everySpelling((fs, path) => fs.access(path)),
  readFile: everySpelling((fs, path) => fs.readFile(path, 'utf8')),
  readlink: everySpelling((fs, path) => fs.readlink(path)),
  // The C library goes through what is too long for the kernel by itself.
  realpath: everySpelling((fs, path) => (path.length > 4096 ? undefined : fs.realpath(path))),
  readdir: everySpelling(async (fs, path) =>
    (await fs.readdir(path)).filter((name) => !/^\d/.test(name)).sort(),
  ),
  opendir: everySpelling(async (fs, path) => (await (await fs.opendir(path)).close()) ?? 'opened'),
  mkdir: everySpelling(async (fs, path) => [await fs.mkdir(path), await shape(fs, path, false)]),
  'mkdir recursive': everySpelling(async (fs, path) => [
    await fs.mkdir(path, { recursive: true }),
    await shape(fs, path, false),
  ]),
  rmdir: everySpelling((fs, path) => fs.rmdir(path)),
  unlink: everySpelling((fs, path) => fs.unlink(path)),
  rm: everySpelling((fs, path) => fs.rm(path)),
  'rm force': everySpelling((fs, path) => fs.rm(path, { force: true })),
  writeFile: everySpelling(async (fs, path) => [
    await fs.writeFile(path, 'new'),
    await fs.readFile(path, 'utf8'),
  ]),
  appendFile: everySpelling(async (fs, path) => [
    await fs.appendFile(path, '+'),
    await fs.readFile(path, 'utf8'),
  ]),
  truncate: everySpelling(async (fs, path) => [await fs.truncate(path, 3), await fs.readFile(path, 'utf8')]),
  open: everySpelling(async (fs, path) => (await (await fs.open(path, 'r+')).close()) ?? 'opened'),
  'open wx': everySpelling(async (fs, path) => (await (await fs.open(path, 'wx')).close()) ?? 'opened'),
  chmod: everySpelling(async (fs, path) => [await fs.chmod(path, 0o700), await shape(fs, path, true)]),
  chown: everySpelling(async (fs, path) => [await fs.chown(path, 5, 6), (await fs.stat(path)).uid]),
  lchown: everySpelling(async (fs, path) => [await fs.lchown(path, 5, 6), (await fs.lstat(path)).gid]),
  utimes: everySpelling(async (fs, path) => [await fs.utimes(path, 1, 2.5), (await fs.stat(path)).mtimeMs]),
  lutimes: everySpelling(async (fs, path) => [
    await fs.lutimes(path, 1, 2.5),
    (await fs.lstat(path)).mtimeMs,
  ]),
  statfs: everySpelling(async (fs, path) => Object.keys(await fs.statfs(path))),
  'symlink at': everySpelling(async (fs, path) => [await fs.symlink('goal', path), await fs.readlink(path)]),
  'symlink to': everySpelling((fs, path, at) => fs.symlink(path, `${at}/new`)),
  'link from': everySpelling((fs, path, at) => fs.link(path, `${at}/new`)),
  'link to': everySpelling((fs, path, at) => fs.link(`${at}/file`, path)),
  'rename of': everySpelling((fs, path, at) => fs.rename(path, `${at}/new`)),
  'rename of to a slash': everySpelling((fs, path, at) => fs.rename(path, `${at}/new/`)),
  'rename of a file to': everySpelling((fs, path, at) => fs.rename(`${at}/hard`, path)),
  'rename of a directory to': everySpelling((fs, path, at) => fs.rename(`${at}/empty`, path)),
  'rename of what is missing to': everySpelling((fs, path, at) => fs.rename(`${at}/none`, path)),
  'copyFile from': everySpelling((fs, path, at) => fs.copyFile(path, `${at}/new`)),
  'copyFile to': everySpelling(async (fs, path, at) => [
    await fs.copyFile(`${at}/.hidden`, path),
    await fs.readFile(path, 'utf8'),
  ]),
  'cp from': everySpelling(async (fs, path, at) => [
    // Node's documents no bytes here, and refuses them by chance.
    await fs.cp(textual(path), `${at}/new`, { recursive: true }),
    await shape(fs, `${at}/new`, false),
  ]),
  'cp to': everySpelling(async (fs, path, at) => [
    await fs.cp(`${at}/dir/sub`, textual(path), { recursive: true }),
    await shape(fs, path, false),
  ]),
  mkdtemp: everySpelling(async (fs, path) => {
    // It would be made in the working directory of this process, which belongs to no case.
    if (path === '') return undefined;
    try {
      return (await fs.mkdtemp(path)).slice(0, -6);
    } catch (failure) {
      // What the name would have ended in is chance.
      const { code, syscall, path: tried } = failure as NodeJS.ErrnoException;
      return [code, syscall, tried?.slice(0, -6)];
    }
  }),
};

const write =
  (flag: unknown, name = 'file', more: object = {}): Case =>
  async (fs, at) => [
    await tried(fs.writeFile(`${at}/${name}`, 'new', { flag: wrong<string>(flag), ...more })),
    await tried(fs.readFile(`${at}/${name}`, 'utf8')),
  ];
const read =
  (options: unknown, name = 'file'): Case =>
  (fs, at) =>
    fs.readFile(`${at}/${name}`, wrong<'utf8'>(options));
const written =
  (data: unknown, options?: unknown): Case =>
  async (fs, at) => [
    await fs.writeFile(
      `${at}/made`,
      wrong<string>(typeof data === 'function' ? data() : data),
      wrong<'utf8'>(options),
    ),
    await fs.readFile(`${at}/made`),
    octal((await fs.stat(`${at}/made`)).mode),
  ];
const mode =
  (value: unknown): Case =>
  async (fs, at) => {
    await fs.chmod(`${at}/file`, wrong<number>(value));
    return octal((await fs.stat(`${at}/file`)).mode);
  };
const times =
  (access: unknown, modify: unknown): Case =>
  async (fs, at) => {
    await fs.utimes(`${at}/file`, wrong<number>(access), wrong<number>(modify));
    const { atimeMs, mtimeMs } = await fs.stat(`${at}/file`);
    const now = (ms: number): number | string => (Math.abs(ms - Date.now()) < 60_000 ? 'now' : ms);
    return [now(atimeMs), now(mtimeMs)];
  };
const aborted = (): AbortSignal => AbortSignal.abort('because');
const FLAGS = [
  'r',
  'rs',
  'sr',
  'r+',
  'rs+',
  'sr+',
  'w',
  'wx',
  'xw',
  'w+',
  'wx+',
  'xw+',
  'a',
  'ax',
  'as',
  'sa',
  'a+',
  'ax+',
  'as+',
  'q',
  '',
  'rw',
  O_WRONLY,
  O_WRONLY | O_CREAT | O_EXCL,
  O_RDWR | O_TRUNC,
  O_DIRECTORY,
  O_NOFOLLOW,
  1.5,
  {},
  null,
]; // prettier-ignore

export const optionCases: Record<string, Record<string, Case>> = {
  'writeFile with a flag': Object.fromEntries(
    FLAGS.flatMap((flag): [string, Case][] => [
      [`${String(flag)} on a file`, write(flag)],
      [`${String(flag)} on nothing`, write(flag, 'made')],
      [`${String(flag)} on a dangling link`, write(flag, 'through')],
    ]),
  ),
  'open with a flag': Object.fromEntries(
    FLAGS.flatMap((flag): [string, Case][] =>
      ['flink', 'dir', 'made', 'dangling'].map((name) => [
        `${String(flag)} on ${name}`,
        async (fs, at) => {
          const file = await fs.open(`${at}/${name}`, wrong<string>(flag));
          const did = [
            await tried(file.read()),
            await tried(file.write('ab')),
            await tried(file.truncate(1)),
          ];
          await file.close();
          return [
            did.map((one) => (typeof one === 'string' ? one : 'done')),
            await tried(fs.readFile(`${at}/file`, 'utf8')),
          ];
        },
      ]),
    ),
  ),
  'what is written': {
    text: written('ä'),
    latin1: written('ä', 'latin1'),
    base64: written('QUJD', 'base64'),
    hex: written('4142', { encoding: 'hex' }),
    'no such encoding': written('a', 'klingon'),
    'no such encoding in an object': written('a', { encoding: 'klingon' }),
    'a typed array': written(new Uint16Array([1, 2])),
    'a DataView': written(new DataView(new ArrayBuffer(3), 1)),
    'a list of pieces': written(['a', 'b']),
    'an iterator of bytes': written(() => [Buffer.from('a'), new Uint8Array([66])].values()),
    'an asynchronous iterator': written(async function* () {
      yield 'one';
      yield 'two';
    }),
    'an iterator of numbers': written([1]),
    'a number': written(5),
    nothing: written(undefined),
    'an object': written({ toString: () => 'x' }),
    'mode as a number': written('x', { mode: 0o604 }),
    'mode as octal text': written('x', { mode: '604' }),
    'mode as other text': written('x', { mode: '9' }),
    'a mode that is too large': written('x', { mode: 2 ** 33 }),
    'a mode of a kind that is none': written('x', { mode: {} }),
    flush: written('x', { flush: true }),
    'flush that is no boolean': written('x', { flush: 'yes' }),
    'options that are a number': written('x', 4),
    'a signal that was given': written('x', { signal: aborted() }),
    'a signal that is none': written('x', { signal: 'stop' }),
    'a mode for a file that is there': async (fs, at) => [
      await fs.writeFile(`${at}/file`, 'x', { mode: 0o777 }),
      octal((await fs.stat(`${at}/file`)).mode),
    ],
    'what is aborted in between is not written whole': async (fs, at) => {
      const controller = new AbortController();
      const all = Buffer.alloc(4 << 20, 'a');
      const writing = tried(fs.writeFile(`${at}/made`, all, { signal: controller.signal }));
      setImmediate(() => controller.abort());
      return [await writing, (await fs.stat(`${at}/made`)).size < all.length];
    },
    'appended with a mode and an encoding': async (fs, at) => {
      await fs.appendFile(`${at}/made`, 'QUJD', { encoding: 'base64', mode: 0o600 });
      await fs.appendFile(`${at}/made`, '!', 'utf8');
      return [await fs.readFile(`${at}/made`, 'utf8'), octal((await fs.stat(`${at}/made`)).mode)];
    },
  },
  'what is read': {
    bytes: read(undefined),
    'options of null': read(null),
    text: read('utf8'),
    object: read({ encoding: 'utf8' }),
    hex: read('hex'),
    'encoding buffer': read('buffer'),
    'no such encoding': read('klingon'),
    'no such encoding in an object': read({ encoding: 'klingon' }),
    'flag w+': read({ flag: 'w+' }),
    'flag a+ on nothing': read({ flag: 'a+', encoding: 'utf8' }, 'made'),
    'flag w': read({ flag: 'w' }),
    'a flag that is none': read({ flag: 'z' }),
    'a signal that was given': read({ signal: aborted() }),
    'options that are a number': read(4),
    'a directory': read(undefined, 'dir'),
    'through a FileHandle': async (fs, at) => {
      const file = await fs.open(`${at}/file`);
      await file.read(Buffer.alloc(2));
      const rest = await fs.readFile(file, 'utf8');
      await file.close();
      return rest;
    },
  },
  'modes and owners': {
    number: mode(0o4711),
    'octal text': mode('600'),
    'text with a prefix': mode('0o600'),
    'text that is no octal': mode('rw'),
    fraction: mode(1.5),
    negative: mode(-1),
    nothing: mode(undefined),
    'with file type bits': mode(0o100640),
    lchmod: (fs, at) => fs.lchmod(`${at}/flink`, 0o600),
    'an owner of -1 stays': async (fs, at) => {
      await fs.chown(`${at}/file`, 7, 8);
      await fs.chown(`${at}/file`, -1, 9);
      const { uid, gid } = await fs.stat(`${at}/flink`);
      return [uid, gid];
    },
    'an owner as text': (fs, at) => fs.chown(`${at}/file`, wrong('7'), 8),
    'a group that is too large': (fs, at) => fs.chown(`${at}/file`, 7, 2 ** 33),
    'a group that is missing': (fs, at) => fs.lchown(`${at}/file`, 7, wrong(undefined)),
    'access that is refused': (fs, at) => fs.access(`${at}/file`, constants.X_OK),
    'access with a mode that is none': (fs, at) => fs.access(`${at}/file`, 9),
    'access with text': (fs, at) => fs.access(`${at}/file`, wrong('r')),
  },
  times: {
    'seconds with a fraction': times(1.5, 1_000_000_000.25),
    'text of seconds': times('1', '2.5'),
    dates: times(new Date(1500), new Date(2500.9)),
    'before the epoch': times(-5, -1.5),
    'without end': times(Infinity, -Infinity),
    'no number': times(NaN, 1),
    'text of a day': times('2020-01-01', 1),
    bigint: times(5n, 1),
    nothing: times(undefined, undefined),
  },
  'attributes and names': {
    'stat has the fields of Stats': async (fs, at) => {
      const stat = await fs.stat(`${at}/file`);
      const { atime, ctime, birthtime, ...rest } = stat;
      const types = Object.fromEntries(Object.keys(stat).map((key) => [key, typeof stat[key as 'size']]));
      return [
        types,
        rest.size,
        rest.nlink,
        rest.mode,
        rest.mtimeMs,
        rest.mtime,
        rest.rdev,
        rest.blksize,
        rest.blocks,
        [atime, ctime, birthtime].every((date) => date instanceof Date),
      ]; // prettier-ignore
    },
    'stat with bigint has the fields of BigIntStats': async (fs, at) => {
      const stat = await fs.lstat(`${at}/file`, { bigint: true });
      const types = Object.fromEntries(Object.keys(stat).map((key) => [key, typeof stat[key as 'size']]));
      return [types, stat.size, stat.mtimeNs, stat.mtimeMs, stat.mtime, stat.isFile()];
    },
    'stat says of what type it is': async (fs, at) => {
      const found = await Promise.all(['file', 'dir', 'flink'].map((name) => fs.lstat(`${at}/${name}`)));
      return found.map((one) => [
        one.isFile(),
        one.isDirectory(),
        one.isSymbolicLink(),
        one.isFIFO(),
        one.isSocket(),
        one.isBlockDevice(),
        one.isCharacterDevice(),
      ]); // prettier-ignore
    },
    'statfs with bigint': async (fs, at) => typeof (await fs.statfs(at, { bigint: true })).bsize,
    'readdir with types': async (fs, at) =>
      (await fs.readdir(`${at}/dir`, { withFileTypes: true }))
        .map((one) => [one.name, one.parentPath, one.isDirectory(), one.isFile(), one.isSymbolicLink()])
        .sort(),
    'readdir recursive': async (fs, at) => (await fs.readdir(at, { recursive: true })).sort(),
    'readdir recursive with types': async (fs, at) =>
      (await fs.readdir(at, { recursive: true, withFileTypes: true }))
        .map((one) => `${one.parentPath} ${one.name} ${one.isDirectory()}`)
        .sort(),
    'readdir of bytes': async (fs, at) => (await fs.readdir(`${at}/dir`, 'buffer')).sort(Buffer.compare),
    'readdir in hex': async (fs, at) => (await fs.readdir(`${at}/dir`, { encoding: 'hex' })).sort(),
    'readdir with an encoding that is none': (fs, at) => fs.readdir(at, wrong('klingon')),
    'readdir with recursive that is no boolean': async (fs, at) =>
      (await fs.readdir(at, { recursive: wrong('x') })).sort(),
    'readlink of bytes': (fs, at) => fs.readlink(`${at}/dlink`, 'buffer'),
    'realpath of bytes': (fs, at) => fs.realpath(`${at}/dlink/sub`, { encoding: 'buffer' }),
    'opendir gives every entry and closes itself': async (fs, at) => {
      const directory = await fs.opendir(`${at}/dir`, { bufferSize: 1 });
      const names: string[] = [];
      for await (const { name } of directory) names.push(name);
      return [directory.path, names.sort(), await tried(() => directory.read())];
    },
    'opendir entry by entry': async (fs, at) => {
      const directory = await fs.opendir(`${at}/empty`);
      return [
        await directory.read(),
        directory.readSync(),
        await directory.close(),
        await tried(directory.close()),
      ];
    },
    'opendir recursive': async (fs, at) => {
      const names: string[] = [];
      for await (const entry of await fs.opendir(at, { recursive: true }))
        names.push(`${entry.parentPath} ${entry.name}`);
      return names.sort();
    },
    'a name that is not UTF-8': async (fs, at) => {
      const name = Buffer.concat([Buffer.from(`${at}/`), Buffer.from([0xff, 0x41])]);
      await fs.writeFile(name, 'x');
      const all = await fs.readdir(at, 'buffer');
      return [await fs.readFile(name, 'utf8'), all.filter((one) => one[0] === 0xff)];
    },
  },
  'making and removing': {
    'mkdir with a mode': async (fs, at) => [
      await fs.mkdir(`${at}/n`, 0o701),
      octal((await fs.stat(`${at}/n`)).mode),
    ],
    'mkdir with a mode as text': async (fs, at) => [
      await fs.mkdir(`${at}/n`, { mode: '701' }),
      octal((await fs.stat(`${at}/n`)).mode),
    ],
    'mkdir with recursive that is no boolean': (fs, at) => fs.mkdir(`${at}/n`, { recursive: wrong(1) }),
    'mkdir recursive answers the first that it makes': (fs, at) =>
      fs.mkdir(`${at}/a/b/c`, { recursive: true }),
    'mkdir recursive through a link': (fs, at) => fs.mkdir(`${at}/dlink/b/c`, { recursive: true }),
    'mkdir recursive over a file': (fs, at) => fs.mkdir(`${at}/file/b`, { recursive: true }),
    'mkdir recursive onto a file': (fs, at) => fs.mkdir(`${at}/file`, { recursive: true }),
    'mkdir recursive of what is there': (fs, at) => fs.mkdir(`${at}/dir/sub`, { recursive: true }),
    'several mkdir recursive at once': async (fs, at) => [
      await Promise.all(
        [1, 2, 3, 4].map((n) =>
          tried(async () => void (await fs.mkdir(`${at}/a/b/${n % 2}`, { recursive: true }))),
        ),
      ),
      await treeOf(fs, `${at}/a`),
    ],
    'rm of a directory': (fs, at) => fs.rm(`${at}/dir`),
    'rm of a directory with force': (fs, at) => fs.rm(`${at}/empty`, { force: true }),
    'rm recursive': async (fs, at) => [
      await fs.rm(`${at}/dir`, { recursive: true }),
      await tried(fs.stat(`${at}/dir`)),
    ],
    'rm recursive of a link to a directory': async (fs, at) => [
      await fs.rm(`${at}/dlink`, { recursive: true }),
      await treeOf(fs, `${at}/dir`),
    ],
    'rm recursive of nothing': (fs, at) => fs.rm(`${at}/none`, { recursive: true }),
    'rm recursive with force of nothing': (fs, at) => fs.rm(`${at}/none`, { recursive: true, force: true }),
    'several rm recursive with force at once': async (fs, at) => [
      await Promise.all([1, 2, 3].map(() => tried(fs.rm(`${at}/dir`, { recursive: true, force: true })))),
      (await fs.readdir(at)).includes('dir'),
    ],
    'rm with recursive that is no boolean': (fs, at) => fs.rm(`${at}/dir`, { recursive: wrong('yes') }),
    'rm with retries below 0': (fs, at) => fs.rm(`${at}/dir`, { recursive: true, maxRetries: -1 }),
    'rm with options that are text': (fs, at) => fs.rm(`${at}/file`, wrong('force')),
    'rmdir of a full directory': (fs, at) => fs.rmdir(`${at}/dir`),
    'truncate to a longer size': async (fs, at) => [
      await fs.truncate(`${at}/file`, 9),
      await fs.readFile(`${at}/file`),
    ],
    'truncate without a size': async (fs, at) => [
      await fs.truncate(`${at}/file`),
      await fs.readFile(`${at}/file`),
    ],
    'truncate to a size below 0': async (fs, at) => [
      await fs.truncate(`${at}/file`, -5),
      await fs.readFile(`${at}/file`),
    ],
    'truncate to text': (fs, at) => fs.truncate(`${at}/file`, wrong('5')),
    'truncate to a fraction': (fs, at) => fs.truncate(`${at}/file`, 1.5),
    'mkdtemp of bytes': async (fs, at) => Buffer.isBuffer(await fs.mkdtemp(`${at}/t-`, 'buffer')),
    'mkdtemp has mode 700': async (fs, at) => octal((await fs.stat(await fs.mkdtemp(`${at}/t-`))).mode),
  },
};
