// SPDX-License-Identifier: MIT
/** Archives: as GNU tar, Python and tar-stream write them, read to the last byte; and damaged ones. */
import { execFileSync, spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import * as tarFs from 'tar-fs';
import type { TarEntry } from '../../../lib/image/tar/format.js';
import { decodePax, encodePax, formatPaxTime, paxTime } from '../../../lib/image/tar/pax.js';
import { TarReader } from '../../../lib/image/tar/reader.js';
import { END_OF_ARCHIVE, headerOf, paddingAfter, plainEntry } from '../../../lib/image/tar/writer.js';
import { scratch, shell } from '../../support/ground.js';

interface Read {
  entry: TarEntry;
  data: Buffer;
}

/** Reads an archive that comes in chunks of the given size. */
function readAll(archive: Buffer, chunk = archive.length): Read[] {
  const read: Read[] = [];
  const parts: Buffer[] = [];
  const reader = new TarReader(
    {
      entry: (entry) => read.push({ entry, data: Buffer.alloc(0) }),
      data: (bytes) => parts.push(Buffer.from(bytes)),
      end: () => {
        read[read.length - 1].data = Buffer.concat(parts.splice(0));
      },
    },
    'archive',
  );
  for (let at = 0; at < archive.length; at += chunk) reader.write(archive.subarray(at, at + chunk));
  reader.finish();
  return read;
}

function named(read: readonly Read[], name: string): Read {
  const found = read.find(({ entry }) => entry.name.replace(/^\.\//, '').replace(/\/$/, '') === name);
  if (found === undefined) throw new Error(`${name} is not among ${read.map(({ entry }) => entry.name)}`);
  return found;
}

const LONG = `${'d'.repeat(120)}/${'e'.repeat(150)}`;

function makeTree(t: Test): string {
  const base = scratch(t);
  shell(
    `mkdir tree; cd tree; mkdir -p ${LONG.split('/')[0]}; echo long > ${LONG}; echo hello > f; chmod 4751 f
     ln f hard; ln -s 'target of link' sym; ln -s ${'x'.repeat(130)} longsym; mkfifo p; mknod c c 5 300; mknod b b 7 1
     printf 'x' > $'bytes-\\xff\\xfe'; truncate -s 3M holes; printf 'mid' | dd of=holes bs=1 seek=1500000 conv=notrunc 2>/dev/null
     touch -d '1969-12-31T23:59:58.25Z' old; touch -d '2033-05-18T03:33:20.123456789Z' f; chown 3000000:70000 sym -h; mkdir empty`,
    base,
  );
  return join(base, 'tree');
}

for (const format of ['gnu', 'pax', 'ustar', 'v7', 'oldgnu']) {
  t.test(`an archive of GNU tar in the format ${format} is read whole`, async (t) => {
    const tree = makeTree(t);
    const isOld = format === 'ustar' || format === 'v7';
    if (isOld) shell(`rm -rf ${LONG.split('/')[0]} longsym old; chown -h 0:0 sym`, tree);
    if (format === 'v7') shell('rm p c b', tree);
    const archive = execFileSync('tar', ['-C', tree, '--format', format, '-cf', '-', '.'], {
      maxBuffer: 1 << 28,
    });
    for (const chunk of [archive.length, 1000, 7]) {
      const read = readAll(archive, chunk);
      const f = [named(read, 'f'), named(read, 'hard')].find(({ entry }) => entry.type === 'file')!;
      t.equal(f.data.toString(), 'hello\n');
      t.equal(f.entry.mode, 0o4751);
      const link = [named(read, 'f'), named(read, 'hard')].find(({ entry }) => entry.type === 'hard link')!;
      t.match(link.entry.target, /f|hard/);
      t.equal(named(read, 'sym').entry.target, 'target of link');
      t.equal(named(read, 'bytes-\xff\xfe').data.toString(), 'x');
      t.equal(named(read, 'holes').entry.size, 3 << 20);
      t.equal(named(read, 'empty').entry.type, 'directory');
      if (isOld) continue;
      t.equal(named(read, LONG).data.toString(), 'long\n');
      t.equal(named(read, 'longsym').entry.target, 'x'.repeat(130));
      t.equal(named(read, 'sym').entry.uid, 3000000);
      t.match(named(read, 'c').entry, { type: 'character device', deviceMajor: 5, deviceMinor: 300 });
      t.equal(named(read, 'old').entry.modifySeconds, -2);
      if (format !== 'pax') continue;
      t.equal(f.entry.modifyNanoseconds, 123456789);
      t.match(named(read, 'old').entry, { modifySeconds: -2, modifyNanoseconds: 250000000 });
    }
  });
}

const SPARSE: [name: string, options: string[]][] = [
  ['GNU', ['--format=gnu']],
  ['pax 0.0', ['--format=pax', '--sparse-version=0.0']],
  ['pax 0.1', ['--format=pax', '--sparse-version=0.1']],
  ['pax 1.0', ['--format=pax', '--sparse-version=1.0']],
];

for (const [name, options] of SPARSE) {
  t.test(`a sparse file in the format ${name} comes with its map`, async (t) => {
    const base = scratch(t);
    // Sixty pieces need more than one block of the old format.
    shell(
      `truncate -s 4M many; for i in $(seq 60); do printf "piece$i" | dd of=many bs=1 seek=$((i * 65536)) conv=notrunc 2>/dev/null; done
       truncate -s 1M none`,
      base,
    );
    const archive = execFileSync('tar', ['-C', base, '-S', ...options, '-cf', '-', 'many', 'none'], {
      maxBuffer: 1 << 28,
    });
    t.ok(archive.length < 1 << 20, 'the archive has the pieces only');
    for (const chunk of [archive.length, 333]) {
      const [many, none] = readAll(archive, chunk);
      t.equal(many.entry.name, 'many');
      t.equal(many.entry.size, 4 << 20);
      const content = Buffer.alloc(4 << 20);
      let at = 0;
      for (const { offset, size } of many.entry.segments!) {
        many.data.copy(content, offset, at, at + size);
        at += size;
      }
      t.ok(content.equals(fs.readFileSync(join(base, 'many'))));
      t.match(none, { entry: { name: 'none', size: 1 << 20 } });
    }
  });
}

t.test('attributes are bytes, in both spellings', async (t) => {
  const capability = Buffer.from('0100000200200000000000000000000000000000', 'hex');
  const entry = {
    ...plainEntry('f', 0),
    xattrs: new Map([
      ['security.capability', capability],
      ['user.\xff', Buffer.from([0, 10, 61, 255])],
    ]),
  };
  const [read] = readAll(Buffer.concat([headerOf(entry), END_OF_ARCHIVE]));
  t.strictSame([...read.entry.xattrs.get('security.capability')!], [...capability]);
  t.strictSame([...read.entry.xattrs.get('user.\xff')!], [0, 10, 61, 255]);
  const records = encodePax(
    new Map([['LIBARCHIVE.xattr.user%2Ea', Buffer.from(capability.toString('base64'))]]),
  );
  const header = { ...plainEntry('x', records.length) };
  const raw = headerOf(header);
  raw.write('x', 156);
  raw.write(checksumOf(raw), 148, 'latin1');
  const archive = Buffer.concat([
    raw,
    records,
    paddingAfter(records.length),
    headerOf(plainEntry('g', 0)),
    END_OF_ARCHIVE,
  ]);
  t.strictSame([...readAll(archive)[0].entry.xattrs.get('user.a')!], [...capability]);
});

function checksumOf(block: Buffer): string {
  let sum = 8 * 0x20;
  for (let at = 0; at < 512; at++) if (at < 148 || at >= 156) sum += block[at];
  return `${sum.toString(8).padStart(6, '0')}\0 `;
}

t.test('what is written is read back, whatever the entry', async (t) => {
  const bytes = fc.string({
    unit: fc.integer({ min: 1, max: 255 }).map((code) => String.fromCharCode(code)),
    minLength: 1,
    maxLength: 300,
  });
  const id = fc.oneof(fc.nat(100), fc.integer({ min: 0, max: 0xfffffffe }));
  const arbitrary = fc.record({
    name: bytes.map((name) => name.replaceAll('/', '_')),
    mode: fc.integer({ min: 0, max: 0o7777 }),
    uid: id,
    gid: id,
    content: fc.uint8Array({ maxLength: 2000 }),
    modifySeconds: fc.integer({ min: -(2 ** 33), max: 2 ** 40 }),
    modifyNanoseconds: fc.integer({ min: 0, max: 999999999 }),
    xattrs: fc.array(
      fc.tuple(fc.constantFrom('user.a', 'user.b', 'security.capability'), fc.uint8Array({ maxLength: 100 })),
    ),
  });
  const seed = Number(process.env.TAR_SEED ?? Date.now() % 2 ** 31);
  t.comment(`seed ${seed}`);
  fc.assert(
    fc.property(fc.array(arbitrary, { maxLength: 5 }), fc.integer({ min: 1, max: 3000 }), (items, chunk) => {
      const archive = Buffer.concat([
        ...items.flatMap(({ content, xattrs, ...rest }) => {
          const entry = {
            ...plainEntry('', content.length),
            ...rest,
            xattrs: new Map(xattrs.map(([key, value]) => [key, Buffer.from(value)])),
          };
          return [headerOf(entry), Buffer.from(content), paddingAfter(content.length)];
        }),
        END_OF_ARCHIVE,
      ]);
      const read = readAll(archive, chunk);
      return (
        read.length === items.length &&
        read.every(({ entry, data }, index) => {
          const { content, xattrs, ...rest } = items[index];
          const same = Object.entries(rest).every(([key, value]) => entry[key as keyof TarEntry] === value);
          const wanted = new Map(xattrs.map(([key, value]) => [key, Buffer.from(value)]));
          return (
            same &&
            data.equals(Buffer.from(content)) &&
            entry.xattrs.size === wanted.size &&
            [...wanted].every(([key, value]) => entry.xattrs.get(key)!.equals(value))
          );
        })
      );
    }),
    { seed, numRuns: 200 },
  );
  t.pass('200 archives');
});

t.test('other tools read what is written', async (t) => {
  const base = scratch(t);
  const content = Buffer.from('content\n');
  const entries: TarEntry[] = [
    { ...plainEntry('d/', 0), type: 'directory', mode: 0o755 },
    { ...plainEntry(`d/${'n'.repeat(200)}`, content.length), modifySeconds: 1e9, modifyNanoseconds: 5000 },
    { ...plainEntry('s', 0), type: 'symlink', target: 't'.repeat(150) },
  ];
  const archive = Buffer.concat([
    ...entries.flatMap((entry) => [
      headerOf(entry),
      ...(entry.size > 0 ? [content, paddingAfter(content.length)] : []),
    ]),
    END_OF_ARCHIVE,
  ]);
  fs.mkdirSync(join(base, 'gnu'));
  execFileSync('tar', ['-C', join(base, 'gnu'), '-xf', '-'], { input: archive });
  const extract = tarFs.extract(join(base, 'node'), { validateSymlinks: false } as tarFs.ExtractOptions);
  await pipeline(Readable.from([archive]), extract);
  for (const tool of ['gnu', 'node']) {
    t.equal(fs.readFileSync(join(base, tool, 'd', 'n'.repeat(200)), 'utf8'), 'content\n', tool);
    t.equal(fs.readlinkSync(join(base, tool, 's')), 't'.repeat(150), tool);
  }
  t.equal(fs.statSync(join(base, 'gnu/d', 'n'.repeat(200)), { bigint: true }).mtimeNs, 1000000000000005000n);
  const python = spawnSync(
    'python3',
    ['-c', 'import sys, tarfile; print(len(tarfile.open(fileobj=sys.stdin.buffer, mode="r|").getnames()))'],
    { input: archive },
  );
  t.equal(python.stdout.toString(), '3\n');
});

/** An entry of any type, with its data, whatever the type says of data. */
function rawEntry(
  flag: string,
  name: string,
  content = '',
  change = (_: Buffer): unknown => undefined,
): Buffer {
  const bytes = Buffer.from(content, 'latin1');
  const block = headerOf(plainEntry(name, bytes.length));
  block.write(flag, 156, 'latin1');
  change(block);
  block.write(checksumOf(block), 148, 'latin1');
  return Buffer.concat([block, bytes, paddingAfter(bytes.length)]);
}

function namesAndData(archive: Buffer): string[] {
  const read = [archive.length, 77].map((chunk) =>
    readAll(archive, chunk).map(({ entry, data }) => `${entry.type} ${entry.name} ${data}`),
  );
  t.strictSame(read[0], read[1], 'the size of chunks changes nothing');
  return read[0];
}

/** Records of pax, `KEY=VALUE` each. */
const records = (...texts: string[]): string =>
  encodePax(
    new Map(texts.map((text) => [text.split('=')[0], Buffer.from(text.slice(text.indexOf('=') + 1))])),
  ).toString('latin1');

t.test('what is no file of its own is passed over with its data, and what is next is read', async (t) => {
  for (const flag of ['V', 'N', 'A', 'E', 'I']) {
    const odd = [rawEntry('L', '././@LongLink', 'long\0'), rawEntry(flag, 'odd', 'y'.repeat(700))];
    const archive = Buffer.concat([...odd, rawEntry('0', 'f', 'kept'), END_OF_ARCHIVE]);
    t.strictSame(namesAndData(archive), ['file f kept'], flag);
  }
  const global = rawEntry('g', 'pax_global_header', records('comment=6dcf8a'));
  t.strictSame(namesAndData(Buffer.concat([global, rawEntry('0', 'f', 'x'), global])), ['file f x']);
});

t.test(
  'an entry of a type that nobody knows is a file, and an old one with a slash a directory',
  async (t) => {
    const archive = [
      rawEntry('Q', 'vendor', 'x'),
      rawEntry('7', 'contiguous', 'y'),
      rawEntry('0', 'd/'),
      rawEntry('\0', 'e/'),
    ];
    t.strictSame(namesAndData(Buffer.concat([...archive, END_OF_ARCHIVE])), [
      'file vendor x',
      'file contiguous y',
      'directory d/ ',
      'directory e/ ',
    ]);
  },
);

t.test('headers that never come to an entry are refused, whatever they hold', async (t) => {
  const text = 'x'.repeat(60_000);
  const own = rawEntry('x', 'x', records(`comment=${text}`));
  t.throws(() => readAll(Buffer.concat(Array(100).fill(own))), {
    message: /headers of an entry are too large/,
  });
  const long = rawEntry('L', '././@LongLink', `${text}\0`);
  t.throws(() => readAll(Buffer.concat(Array(100).fill(long))), {
    message: /headers of an entry are too large/,
  });
  const entry = rawEntry('0', 'f', 'x');
  const many = (key: (index: number) => string): Buffer =>
    Buffer.concat(
      Array.from({ length: 100 }, (_, index) =>
        Buffer.concat([rawEntry('g', 'g', records(`${key(index)}=${text}`)), entry]),
      ),
    );
  t.throws(() => readAll(many(String)), { message: /headers for all entries are too large/ });
  t.equal(readAll(many(() => 'comment')).length, 100, 'what is said again takes no more');
});

t.test('a large map of a sparse file takes seconds, not minutes', async (t) => {
  const pairs = Array.from({ length: 40_000 }, (_, index) => [index * 1024, 1] as const);
  const data = 'x'.repeat(pairs.length);
  const size = 40_000 * 1024;
  const lines = `${pairs.length}\n${pairs.flat().join('\n')}\n`;
  const map = lines.padEnd(Math.ceil(lines.length / 512) * 512, '\0');
  const said = records('GNU.sparse.major=1', 'GNU.sparse.minor=0', `GNU.sparse.realsize=${size}`);
  const inData = Buffer.concat([rawEntry('x', 'x', said), rawEntry('0', 'f', map + data)]);
  const start = performance.now();
  for (let turn = 0; turn < 10; turn++) t.equal(readAll(inData, 4096)[0].entry.segments?.length, 40_000);
  t.ok(performance.now() - start < 20_000, `${performance.now() - start} ms`);
});

t.test('archives of GNU tar with a label and lists of directories are read', async (t) => {
  const base = scratch(t);
  shell('mkdir -p tree/d; echo x > tree/d/f; touch tree/d/g', base);
  for (const format of ['gnu', 'oldgnu', 'pax']) {
    const archive = execFileSync('tar', [
      '-C',
      join(base, 'tree'),
      `--format=${format}`,
      '-V',
      'label',
      '-g',
      join(base, `list.${format}`),
      '-cf',
      '-',
      'd',
    ]);
    t.strictSame(namesAndData(archive), ['directory d/ ', 'file d/f x\n', 'file d/g '], format);
  }
});

t.test(
  'the rest of a file that begins in another volume is refused by name, not called damage',
  async (t) => {
    const base = scratch(t);
    shell(
      `head -c 20000 /dev/zero > a; echo b > b; echo 'n second' | tar --format=gnu -M -L 15 -cf first a b > /dev/null 2>&1`,
      base,
    );
    t.throws(() => readAll(fs.readFileSync(join(base, 'second'))), {
      message: /begins in the middle of a file .*several volumes.*tar -M/,
    });
  },
);

t.test('headers are read as leniently as other tools read them', async (t) => {
  const put = (at: number, text: string) => (block: Buffer) => block.write(text, at, 'latin1');
  const read = (...parts: Buffer[]): TarEntry => readAll(Buffer.concat([...parts, END_OF_ARCHIVE]))[0].entry;
  t.equal(read(rawEntry('0', 'f', '', put(108, '   17 \0\0'))).uid, 15, 'blanks before a number');
  t.equal(read(rawEntry('0', 'f', '', put(108, '17\0junk!'))).uid, 15, 'what follows the end of a number');
  t.equal(read(rawEntry('0', 'f', '', put(108, '\xff\xff\xff\xff\xff\xff\xff\xfe'))).uid, 2 ** 32 - 2);
  t.equal(read(rawEntry('0', 'f', '', put(329, 'no digit'))).type, 'file', 'only devices need a number');
  t.throws(() => read(rawEntry('3', 'f', '', put(329, 'no digit'))), {
    message: /device has no proper number/,
  });
  const star = (block: Buffer): void => {
    block.write('dir', 345);
    block.write('00000000000 00000000000 ', 476);
    block.write('tar\0', 508);
  };
  t.equal(read(rawEntry('0', 'f', '', star)).name, 'dir/f', "star's times are no part of the name");
  const f = rawEntry('0', 'f');
  t.match(read(rawEntry('x', 'x', records('path=', 'mtime=', 'uid=', 'size=')), f), { name: 'f', uid: 0 });
  t.equal(read(rawEntry('x', 'x', records('uid=5')), rawEntry('X', 'x', records('gid=6')), f).uid, 5);
  t.equal(read(rawEntry('x', 'x', `${records('path=p')}\0\0\0`), f).name, 'p', 'records may be padded');
  t.throws(() => read(rawEntry('x', 'x', `${records('path=p')}\0a`), f), {
    message: /extended header is malformed/,
  });
  const signed = rawEntry('0', 'f', '', put(0, 'f\xe9\xff'));
  const sum = [...signed.subarray(0, 512)].reduce(
    (all, byte, at) => all + (at >= 148 && at < 156 ? 32 : (byte << 24) >> 24),
    0,
  );
  signed.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  t.equal(read(signed).name, 'f\xe9\xff', "the sum of signed bytes, as Sun's tar has it");
});

t.test('an archive ends at its first zeros, or where no more entry begins', async (t) => {
  const entry = rawEntry('0', 'f', 'x');
  const ends: [what: string, bytes: Buffer][] = [
    ['no end', entry],
    ['no padding of the last file', entry.subarray(0, 513)],
    ['one block of zeros', Buffer.concat([entry, Buffer.alloc(512)])],
    ['half a block of zeros', Buffer.concat([entry, Buffer.alloc(300)])],
    ['junk behind', Buffer.concat([entry, END_OF_ARCHIVE, Buffer.from('junk'.repeat(400))])],
  ];
  for (const [what, bytes] of ends) t.strictSame(namesAndData(bytes), ['file f x'], what);
  t.throws(() => readAll(Buffer.concat([entry, Buffer.from('junk')])), { message: /cut off/ });
});

t.test('a damaged archive is refused, and never read past its end', async (t) => {
  const good = Buffer.concat([headerOf(plainEntry('f', 1000)), Buffer.alloc(1024, 1), END_OF_ARCHIVE]);
  t.throws(() => readAll(Buffer.from('not an archive'.repeat(100))), { message: /no tar archive/ });
  t.throws(() => readAll(good.subarray(0, 700)), { message: /cut off/ });
  t.throws(() => readAll(good.subarray(0, 300)), { message: /cut off/ });
  const flipped = Buffer.from(good);
  flipped[3] ^= 1;
  t.throws(() => readAll(flipped), { message: /damaged/ });
  const seed = Number(process.env.TAR_SEED ?? Date.now() % 2 ** 31);
  t.comment(`seed ${seed}`);
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { minLength: 1, maxLength: 20 }),
      (changes) => {
        const damaged = Buffer.from(good);
        for (const [at, value] of changes) damaged[at] = value;
        damaged.write(checksumOf(damaged), 148, 'latin1');
        try {
          const read = readAll(damaged, 100);
          return read.every(({ data }) => data.length <= good.length);
        } catch (failure) {
          return /^unpack archive: /.test((failure as Error).message);
        }
      },
    ),
    { seed, numRuns: 2000 },
  );
  t.pass('2000 damaged archives');
});

t.test('headers that would take all memory are refused', async (t) => {
  const huge = headerOf(plainEntry('x', 2 << 20));
  huge.write('x', 156);
  huge.write(checksumOf(huge), 148, 'latin1');
  t.throws(() => readAll(huge), { message: /too large/ });
  t.equal(decodePax(Buffer.from('999999999999 a=b\n')), undefined);
  t.equal(decodePax(Buffer.from('5 a=b\n')), undefined);
  t.equal(decodePax(Buffer.from('6 a=b\n'))?.get('a')?.toString(), 'b');
});

t.test('times before 1970 with a fraction are exact', async (t) => {
  for (const [seconds, nanoseconds] of [
    [0, 0],
    [-1, 999999999],
    [-2, 250000000],
    [1700000000, 1],
    [-5, 0],
  ]) {
    t.strictSame(paxTime(Buffer.from(formatPaxTime(seconds, nanoseconds))), { seconds, nanoseconds });
  }
  t.equal(paxTime(Buffer.from('1.2.3')), undefined);
});
