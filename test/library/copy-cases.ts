// SPDX-License-Identifier: MIT
/** Cases of copyFile, cp, FileHandle and streams, from Node's documentation of each. */

import { once } from 'node:events';
import { constants } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { type Readable, Writable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { finished, pipeline } from 'node:stream/promises';
import type { FilePromises } from '../../lib/library/shape.js';
import { type Case, tried } from '../support/three-grounds.js';
import { treeOf } from './cases.js';

const wrong = <Value>(value: unknown): Value => value as Value;

const copied =
  (from: string, to: string, options?: unknown): Case =>
  async (fs, at) => [
    await tried(fs.cp(`${at}/${from}`, `${at}/${to}`, wrong(options))),
    await treeOf(fs, at),
  ];
const refused =
  (from: string, to: string, options?: unknown): Case =>
  (fs, at) =>
    fs.cp(`${at}/${from}`, `${at}/${to}`, wrong(options));
const recursive = { recursive: true };

/** Opens a file of the case, closed however it ends. */
const opened =
  (flags: string, act: (file: FileHandle, fs: FilePromises, at: string) => unknown): Case =>
  async (fs, at) => {
    const file = await fs.open(`${at}/file`, flags);
    try {
      const answer = await act(file, fs, at);
      return [answer, await tried(fs.readFile(`${at}/file`, 'utf8'))];
    } finally {
      await file.close();
    }
  };

const count = async (
  work: Promise<{ bytesRead?: number; bytesWritten?: number }>,
): Promise<number | undefined> => {
  const { bytesRead, bytesWritten } = await work;
  return bytesRead ?? bytesWritten;
};

export const handleCases: Record<string, Record<string, Case>> = {
  copyFile: {
    'takes content and mode': async (fs, at) => [
      await fs.copyFile(`${at}/file`, `${at}/new`),
      await treeOf(fs, at),
    ],
    'COPYFILE_EXCL onto a file': (fs, at) => fs.copyFile(`${at}/file`, `${at}/hard`, constants.COPYFILE_EXCL),
    COPYFILE_FICLONE: async (fs, at) => [
      await fs.copyFile(`${at}/file`, `${at}/new`, constants.COPYFILE_FICLONE),
      await fs.readFile(`${at}/new`, 'utf8'),
    ],
    'a mode that is too large': (fs, at) => fs.copyFile(`${at}/file`, `${at}/new`, 8),
    'a mode that is text': (fs, at) => fs.copyFile(`${at}/file`, `${at}/new`, wrong('1')),
    'onto itself': async (fs, at) => [
      await fs.copyFile(`${at}/file`, `${at}/hard`),
      await fs.readFile(`${at}/file`, 'utf8'),
    ],
    'over a longer file': async (fs, at) => [
      await fs.copyFile(`${at}/.hidden`, `${at}/file`),
      await fs.readFile(`${at}/file`, 'utf8'),
    ],
  },
  cp: {
    'a file': copied('file', 'new'),
    'a file into directories that are missing': copied('file', 'a/b/new'),
    'a file onto a file': copied('.hidden', 'file'),
    'without force': copied('.hidden', 'file', { force: false }),
    'without force with errorOnExist': refused('.hidden', 'file', { force: false, errorOnExist: true }),
    'a file onto a link': copied('.hidden', 'flink'),
    'a file onto a dangling link': copied('.hidden', 'dangling'),
    'a tree': copied('dir', 'new', recursive),
    'a tree onto a tree': copied('dir/sub', 'dir', recursive),
    'a directory without recursive': refused('dir', 'new'),
    'a directory onto a file': refused('dir', 'file', recursive),
    'a file onto a directory': refused('file', 'dir', recursive),
    'a directory into itself': refused('dir', 'dir/sub/new', recursive),
    'a directory into itself through a link': refused('dir', 'dlink/sub/new', recursive),
    'onto itself': refused('file', 'hard'),
    'what is missing': refused('none', 'new', recursive),
    'a link': copied('dlink', 'new'),
    'a link as it is': copied('dlink', 'new', { verbatimSymlinks: true }),
    'a link that is followed': copied('dlink', 'new', { ...recursive, dereference: true }),
    'a link onto a link': copied('flink', 'dangling'),
    'a link onto a file': refused('dlink', 'file'),
    'a dangling link onto a link': refused('dangling', 'flink'),
    'dereference and verbatimSymlinks': refused('file', 'new', { dereference: true, verbatimSymlinks: true }),
    'a filter': copied('dir', 'new', {
      ...recursive,
      filter: async (from: string) => !from.endsWith('/sub'),
    }),
    'a filter of the first': copied('dir', 'new', { ...recursive, filter: () => false }),
    'a filter that is none': refused('dir', 'new', { filter: 'x' }),
    COPYFILE_EXCL: refused('file', 'new', { mode: 9 }),
    'options that are text': refused('dir', 'new', 'recursive'),
    'recursive that is no boolean': refused('dir', 'new', { recursive: 1 }),
    'times that are kept': async (fs, at) => {
      await fs.cp(`${at}/file`, `${at}/new`, { preserveTimestamps: true });
      return (await fs.stat(`${at}/new`)).mtimeMs;
    },
  },
  'FileHandle.read': {
    'from position to position': opened('r', async (file) => {
      const buffer = Buffer.alloc(4, '.');
      return [
        await count(file.read(buffer, 1, 2)),
        await count(file.read(buffer, 0, 1, 5)),
        await count(file.read(buffer, 3, 1, null)),
        await count(file.read({ buffer, offset: 0, length: 1, position: -1 })),
        buffer.toString(),
      ];
    }),
    'into what it makes itself': opened('r', async (file) => {
      const { buffer, bytesRead } = await file.read();
      return [buffer.byteLength, bytesRead];
    }),
    'with options after the buffer': opened('r', async (file) => {
      const buffer = Buffer.alloc(3, '.');
      return [
        await count(wrong<FileHandle>(file).read(buffer, wrong<number>({ offset: 1, position: 2 }))),
        buffer.toString(),
      ];
    }),
    'an offset that is too large': opened('r', (file) => file.read(Buffer.alloc(3), 4, 1)),
    'a length that is too large': opened('r', (file) => file.read(Buffer.alloc(3), 1, 3)),
    'an empty buffer': opened('r', async (file) => count(file.read(Buffer.alloc(0)))),
    'of a kind that is none': opened('r', (file) => file.read(wrong<Uint8Array>('x'))),
    'behind the end': opened('r', async (file) => count(file.read(Buffer.alloc(3), 0, 3, 100))),
    readv: opened('r', async (file) => {
      const buffers = [Buffer.alloc(2), Buffer.alloc(9)];
      const { bytesRead } = await file.readv(buffers);
      return [bytesRead, buffers, (await file.readv([Buffer.alloc(1)], 3)).bytesRead];
    }),
    'readv of no list': opened('r', (file) => file.readv(wrong<Uint8Array[]>('x'))),
    'readFile from the position': opened('r', async (file) => [
      await count(file.read(Buffer.alloc(3))),
      await file.readFile('utf8'),
    ]),
    readLines: opened('r+', async (file) => {
      await file.writeFile('one\ntwo\r\nthree');
      const lines: string[] = [];
      for await (const line of file.readLines({ start: 0, autoClose: false })) lines.push(line);
      return lines;
    }),
    'a directory': async (fs, at) => {
      const file = await fs.open(`${at}/dir`);
      const did = [
        await tried(() => file.read()),
        await tried(file.readFile()),
        (await file.stat()).isDirectory(),
      ];
      await file.close();
      return did;
    },
  },
  'FileHandle.write': {
    'bytes and text': opened('r+', async (file) => [
      await count(file.write(Buffer.from('abcd'), 1, 2)),
      await count(file.write('Z')),
      await count(file.write('--', 6)),
      await count(file.write('QUJD', null, 'base64')),
    ]),
    'with options': opened('r+', async (file) =>
      count(wrong<FileHandle>(file).write(Buffer.from('abc'), wrong<number>({ offset: 1, position: 4 }))),
    ),
    'at the end with a': opened('a', async (file) => [
      await count(file.write('1', 0)),
      await count(file.write('2')),
    ]),
    nothing: opened('r+', async (file) => count(file.write(''))),
    'behind the end': opened('r+', async (file) => count(file.write('x', 10))),
    'of a kind that is none': opened('r+', (file) => file.write(wrong<Uint8Array>(5))),
    'an offset that is too large': opened('r+', (file) => file.write(Buffer.alloc(3), 4)),
    'an encoding that is none': opened('r+', (file) => file.write('x', 0, wrong('klingon'))),
    'text that is no hex': opened('r+', (file) => tried(file.write('abc', 0, 'hex'))),
    writev: opened('r+', async (file) => [
      (await file.writev([Buffer.from('ab'), Buffer.from('c')])).bytesWritten,
      (await file.writev([Buffer.from('!')], 6)).bytesWritten,
    ]),
    'writeFile from the position': opened('r+', async (file) => [
      await count(file.write('12')),
      await file.writeFile('ab'),
    ]),
    appendFile: opened('r+', async (file) => file.appendFile('ab', 'utf8')),
    'onto what is only read': opened('r', (file) => file.write('x')),
    truncate: opened('r+', async (file) => [await file.truncate(3), await file.truncate(5)]),
    'truncate of what is only read': opened('r', (file) => file.truncate(3)),
  },
  'FileHandle, the rest': {
    attributes: opened('r+', async (file) => {
      await file.chmod(0o604);
      await file.chown(3, 4);
      await file.utimes(5, 6.5);
      const stat = await file.stat();
      return [stat.mode, stat.uid, stat.gid, stat.mtimeMs, typeof (await file.stat({ bigint: true })).size];
    }),
    'sync and datasync': opened('r+', async (file) => [await file.sync(), await file.datasync()]),
    'what was removed goes on': opened('r+', async (file, fs, at) => {
      await fs.unlink(`${at}/file`);
      await fs.unlink(`${at}/hard`);
      await file.write('new', 0);
      return [(await file.stat()).nlink, await count(file.read(Buffer.alloc(9), 0, 9, 0))];
    }),
    'what was renamed goes on': opened('r+', async (file, fs, at) => {
      await fs.rename(`${at}/file`, `${at}/moved`);
      await file.write('new', 0);
      return fs.readFile(`${at}/moved`, 'utf8');
    }),
    'what is closed refuses': async (fs, at) => {
      const file = await fs.open(`${at}/file`, 'r+');
      await file.close();
      return [
        await tried(() => file.read()),
        await tried(file.write('x')),
        await tried(file.stat()),
        await tried(file.truncate()),
        await tried(file.readFile()),
        await tried(file.writeFile('x')),
        await tried(file.sync()),
        await tried(file.chmod(1)),
      ]; // prettier-ignore
    },
    'close emits close': async (fs, at) => {
      const file = await fs.open(`${at}/file`);
      const closed = once(wrong<NodeJS.EventEmitter>(file), 'close');
      await file.close();
      return (await closed).length;
    },
    'it is disposed of': async (fs, at) => {
      const file = await fs.open(`${at}/file`);
      await file[Symbol.asyncDispose]();
      return tried(file.read());
    },
    'a stream of the web': opened('r', async (file) => {
      const stream = file.readableWebStream();
      return [await text(wrong<Readable>(stream)), await tried(() => file.readableWebStream())];
    }),
  },
  streams: {
    createReadStream: (fs, at) => text(fs.createReadStream(`${at}/file`)),
    'with start, end, encoding and highWaterMark': async (fs, at) => {
      const stream = fs.createReadStream(`${at}/file`, {
        start: 1,
        end: 5,
        encoding: 'utf8',
        highWaterMark: 2,
      });
      const pieces: string[] = [];
      for await (const piece of stream) pieces.push(piece);
      return [pieces, stream.bytesRead, stream.path, stream.closed];
    },
    'of what is missing': (fs, at) => text(fs.createReadStream(`${at}/none`)),
    'of a directory': (fs, at) => text(fs.createReadStream(`${at}/dir`)),
    'with start behind end': (fs, at) => text(fs.createReadStream(`${at}/file`, { start: 5, end: 1 })),
    'with an encoding that is none': (fs, at) => text(fs.createReadStream(`${at}/file`, wrong('klingon'))),
    'with a flag that is none': (fs, at) => text(fs.createReadStream(`${at}/file`, { flags: 'z' })),
    'that is aborted midway': async (fs, at) => {
      const controller = new AbortController();
      const stream = fs.createReadStream(`${at}/file`, { signal: controller.signal, highWaterMark: 1 });
      let pieces = 0;
      stream.on('data', () => ++pieces === 2 && controller.abort());
      return [await tried(finished(stream)), stream.destroyed];
    },
    createWriteStream: async (fs, at) => {
      const stream = fs.createWriteStream(`${at}/new`, { mode: 0o600 });
      stream.write('one');
      stream.end('two');
      await finished(stream);
      return [
        await fs.readFile(`${at}/new`, 'utf8'),
        stream.bytesWritten,
        (await fs.stat(`${at}/new`)).mode & 0o777,
      ];
    },
    'createWriteStream with flags and start': async (fs, at) => {
      const stream = fs.createWriteStream(`${at}/file`, { flags: 'r+', start: 2 });
      stream.end('XX');
      await finished(stream);
      return fs.readFile(`${at}/file`, 'utf8');
    },
    'createWriteStream with wx onto a file': (fs, at) =>
      finished(fs.createWriteStream(`${at}/file`, { flags: 'wx' }).end()),
    'createWriteStream where nothing is': (fs, at) => finished(fs.createWriteStream(`${at}/none/x`).end('x')),
    'createWriteStream with flush': async (fs, at) => {
      const stream = fs.createWriteStream(`${at}/new`, wrong({ flush: true }));
      stream.end('x');
      await finished(stream);
      return fs.readFile(`${at}/new`, 'utf8');
    },
    'through a pipeline': async (fs, at) => {
      await fs.writeFile(`${at}/large`, Buffer.alloc(300_000, 'ab'));
      await pipeline(fs.createReadStream(`${at}/large`), fs.createWriteStream(`${at}/copy`));
      return (await fs.readFile(`${at}/copy`)).equals(await fs.readFile(`${at}/large`));
    },
    'of a FileHandle, which is closed at the end': opened('r', async (file) => {
      const content = await text(file.createReadStream({ start: 2 }));
      return [content, await tried(() => file.read())];
    }),
    'of a FileHandle through a pipeline': opened('r', async (file) => {
      const pieces: Buffer[] = [];
      const sink = new Writable({
        write: (piece, _, done) => done(pieces.push(piece) > 0 ? null : undefined),
      });
      await pipeline(file.createReadStream(), sink);
      return Buffer.concat(pieces).toString();
    }),
  },
};
