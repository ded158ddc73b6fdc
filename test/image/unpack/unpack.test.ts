// SPDX-License-Identifier: MIT
/** Layers on their way to disk: what comes out is what was packed, and hostile ones write nothing outside. */
import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import t, { type Test } from 'tap';
import { type Digest, digestOf } from '../../../lib/image/model/digest.js';
import { readLayer, storeLayer } from '../../../lib/image/store/layers.js';
import { Store } from '../../../lib/image/store/store.js';
import type { TarEntry } from '../../../lib/image/tar/format.js';
import {
  END_OF_ARCHIVE,
  fileEntry,
  headerOf,
  paddingAfter,
  plainEntry,
} from '../../../lib/image/tar/writer.js';
import { adoptAttributes } from '../../../lib/image/unpack/implied-directories.js';
import { makeLayers, mountKernelOverlay, scratch, shell } from '../../support/ground.js';

type Item = Partial<TarEntry> & { name: string; content?: string };

/** An archive of entries as they are given, however wrong. */
function archiveOf(items: readonly Item[]): Buffer {
  const parts = items.map(({ content = '', ...entry }) => {
    const bytes = Buffer.from(content);
    const header = headerOf({ ...plainEntry(entry.name, bytes.length), ...entry });
    return Buffer.concat([header, bytes, paddingAfter(bytes.length)]);
  });
  return Buffer.concat([...parts, END_OF_ARCHIVE]);
}

const directory = (name: string, more: Partial<TarEntry> = {}): Item => ({
  name,
  type: 'directory',
  mode: 0o755,
  ...more,
});

async function* chunks(bytes: Buffer): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += 4096) yield bytes.subarray(at, at + 4096);
}

interface Ground {
  base: string;
  store: Store;
  unpack(archive: Buffer, expected?: Parameters<typeof storeLayer>[3]): Promise<string>;
}

function prepare(t: Test): Ground {
  const base = scratch(t);
  const store = Store.open(join(base, 'store'));
  return {
    base,
    store,
    async unpack(archive, expected) {
      const { diffId } = await storeLayer(store, chunks(archive), 'layer', expected);
      return store.diffPath(diffId);
    },
  };
}

/** What a store holds besides its frame. */
function contents({ store }: Ground): string[] {
  return ['blobs/sha256', 'layers', 'staging'].flatMap((part) => fs.readdirSync(join(store.root, part)));
}

t.test('a tree of every kind of file comes out as GNU tar wrote it', async (t) => {
  const ground = prepare(t);
  const tree = join(ground.base, 'tree');
  shell(
    `mkdir tree; cd tree; mkdir -p d/e; echo x > d/f; ln d/f d/g; ln -s /etc/passwd abs; ln -s ../../.. up; mkfifo p; mknod c c 1 3; mknod b b 7 0
     printf y > $'\\xff\\xfe'; chmod 4755 d/f; chown 7:8 d/e; chown -h 9:9 abs; setfattr -n user.note -v 'a=b' d/f; setcap cap_net_raw+ep d/g
     setfacl -m u:7:r d/f; truncate -s 1M holes; echo end >> holes; chmod 2775 d; touch -d '2001-02-03 04:05:06.123456789' d/f d d/e
     touch -h -d '2002-02-03 04:05:06.5' abs`,
    ground.base,
  );
  const archive = execFileSync(
    'tar',
    ['-C', tree, '--format=pax', '-S', '--xattrs', '--xattrs-include=*', '-cf', '-', '.'],
    {
      maxBuffer: 1 << 28,
    },
  );
  const unpacked = await ground.unpack(archive);
  const describe = `find . -printf '%P|%y|%m|%U:%G|%s|%T@|%l\\n' | LC_ALL=C sort; getfattr -R -h -d -m 'user|security' -e hex . | sort; find . -type f -exec sha256sum {} + | sort; stat -c '%t:%T' c b; stat -c %h d/f`;
  t.equal(shell(describe, unpacked), shell(describe, tree));
  t.equal(fs.statSync(join(unpacked, 'd/f')).ino, fs.statSync(join(unpacked, 'd/g')).ino);
  t.ok(fs.statSync(join(unpacked, 'holes')).blocks * 512 < 1 << 20, 'holes stay holes');
  t.equal(shell(`getfacl -p ${unpacked}/d/f | grep user:`), shell(`getfacl -p ${tree}/d/f | grep user:`));
});

t.test(
  'gzip, zstd and plain layers give the same layer, and members one after another are one',
  async (t) => {
    const ground = prepare(t);
    const archive = archiveOf([{ name: 'f', content: 'x'.repeat(5000) }]);
    const diffId = digestOf(archive);
    const forms = {
      plain: archive,
      gzip: gzipSync(archive),
      members: Buffer.concat([gzipSync(archive.subarray(0, 700)), gzipSync(archive.subarray(700))]),
      zstd: execFileSync('zstd', ['-q', '-c'], { input: archive }),
      frames: Buffer.concat(
        [archive.subarray(0, 700), archive.subarray(700)].map((input) =>
          execFileSync('zstd', ['-q', '-c'], { input }),
        ),
      ),
    };
    for (const [form, bytes] of Object.entries(forms)) {
      const stored = await storeLayer(ground.store, chunks(bytes), form, { diffId, digest: digestOf(bytes) });
      t.equal(stored.diffId, diffId, form);
      t.ok(fs.readFileSync(ground.store.blobPath(stored.digest)).equals(bytes), form);
    }
    t.equal(fs.readdirSync(join(ground.store.root, 'layers')).length, 1, 'it lies unpacked once');
  },
);

t.test('whiteouts of the archive hide for the kernel what they hide in an image', async (t) => {
  const ground = prepare(t);
  const layers = makeLayers(ground.base, 1);
  shell(
    'mkdir -p gone opaque/sub kept replaced; touch file gone/a opaque/old opaque/sub/x kept/a kept/b replaced/old late',
    layers.lowers[0],
  );
  const unpacked = await ground.unpack(
    archiveOf([
      { name: '.wh.file' },
      { name: '.wh.gone' },
      // Before and after what they speak of: a whiteout is for lower layers only.
      { name: 'opaque/.wh..wh..opq' },
      { name: 'opaque/.wh.old' },
      directory('opaque'),
      { name: 'opaque/new', content: 'n' },
      { name: 'kept/.wh.a' },
      directory('replaced'),
      { name: 'replaced/new', content: 'n' },
      { name: '.wh.replaced' },
      { name: 'late', content: 'mine' },
      { name: '.wh.late' },
      { name: '.wh..wh.plnk/1.2', content: 'bookkeeping of AUFS' },
    ]),
  );
  mountKernelOverlay(t, { ...layers, lowers: [unpacked, ...layers.lowers] }, 'redirect_dir=off');
  const shown = shell('find . -mindepth 1 | LC_ALL=C sort; cat late', layers.target);
  t.equal(shown, './kept\n./kept/b\n./late\n./opaque\n./opaque/new\n./replaced\n./replaced/new\nmine');
  t.equal(shell(`find opaque -type c`, unpacked), '', 'no whiteout lies in an opaque directory');
});

t.test(
  'directories that no entry describes are made, and one that comes twice takes the last attributes',
  async (t) => {
    const ground = prepare(t);
    const unpacked = await ground.unpack(
      archiveOf([
        { name: 'a/b/c', content: 'x' },
        directory('a', { mode: 0o700, modifySeconds: 5 }),
        directory('./', { mode: 0o711 }),
      ]),
    );
    t.equal(shell('stat -c "%a %Y" a; stat -c %a a/b .', unpacked), '700 5\n755\n711\n');
  },
);

t.test('names begin at the root of the layer, however they are written', async (t) => {
  const ground = prepare(t);
  const layers = makeLayers(ground.base, 1);
  shell('mkdir opaque; touch gone opaque/old', layers.lowers[0]);
  const unpacked = await ground.unpack(
    archiveOf([
      directory('/', { mode: 0o711 }),
      directory('/etc/', { mode: 0o750 }),
      { name: '//etc/./absolute', content: '1' },
      { name: './/etc//dotted', content: '2' },
      { name: '/./h', type: 'hard link', target: '//etc/absolute' },
      { name: '/deep/in/f', content: '3' },
      { name: '/.wh.gone' },
      { name: '/opaque/.wh..wh..opq' },
      { name: '/s', type: 'symlink', target: '/etc' },
    ]),
  );
  mountKernelOverlay(t, { ...layers, lowers: [unpacked, ...layers.lowers] }, 'redirect_dir=off');
  t.equal(fs.statSync(unpacked).mode & 0o7777, 0o711);
  t.equal(
    shell('find . -mindepth 1 -printf "%P %y %m %l\n" | LC_ALL=C sort', layers.target),
    `deep d 755 
deep/in d 755 
deep/in/f f 644 
etc d 750 
etc/absolute f 644 
etc/dotted f 644 
h f 644 
opaque d 755 
s l 777 /etc
`,
  );
  t.ok(shell('stat -c %i h etc/absolute | uniq | wc -l', unpacked) === '1\n', 'a hard link is one');
});

t.test('of entries of one name the last one counts, and what it replaces is gone', async (t) => {
  const ground = prepare(t);
  const unpacked = await ground.unpack(
    archiveOf([
      { name: 'f', content: 'first', mode: 0o600 },
      { name: 'kept', type: 'hard link', target: 'f' },
      { name: 'f', content: 'second', mode: 0o640 },
      directory('to-file', { modifySeconds: 7 }),
      { name: 'to-file/in/deep', content: 'x' },
      directory('to-file/listed', { modifySeconds: 8 }),
      { name: 'to-file/.wh.below' },
      { name: 'to-file', content: 'now' },
      { name: 'to-directory', type: 'symlink', target: '/tmp' },
      directory('to-directory', { mode: 0o711 }),
      { name: 'to-directory/f', content: 'inside' },
      directory('again'),
      { name: 'again/old', content: 'x' },
      { name: 'again', type: 'symlink', target: 'to-directory' },
      directory('again'),
      { name: 'again/new', content: 'x' },
      { name: 'itself', content: 'whole' },
      { name: './itself', type: 'hard link', target: '/itself' },
    ]),
  );
  t.equal(
    shell('find . -type f -printf "%P %m %n " -exec cat {} \\; -printf "\n" | LC_ALL=C sort', unpacked),
    `again/new 644 1 x
f 640 1 second
itself 644 1 whole
kept 600 1 first
to-directory/f 644 1 inside
to-file 644 1 now
`,
  );
  t.equal(shell('stat -c "%F %a" to-directory again', unpacked), 'directory 711\ndirectory 755\n');
  const size = 'first'.length + 'second'.length + 'now'.length + 'inside'.length + 1 + 'whole'.length;
  const { diffId } = JSON.parse(fs.readFileSync(join(unpacked, '../layer.json'), 'utf8')) as {
    diffId: Digest;
  };
  t.equal(readLayer(ground.store, diffId)?.size, size, 'only what is there has a size');
});

t.test('symlinks of the layer that lead to a place in it are followed', async (t) => {
  const ground = prepare(t);
  const layers = makeLayers(ground.base, 1);
  shell('mkdir -p usr/lib; touch usr/lib/gone', layers.lowers[0]);
  const unpacked = await ground.unpack(
    archiveOf([
      directory('usr/lib', { mode: 0o711 }),
      { name: 'lib', type: 'symlink', target: 'usr/lib' },
      { name: 'usr/lib64', type: 'symlink', target: '../lib/.//' },
      { name: 'lib/a', content: '1' },
      { name: 'usr/lib64/b', type: 'hard link', target: 'lib/a' },
      directory('lib/d', { mode: 0o700, modifySeconds: 5 }),
      { name: 'lib/d/f', content: '2' },
      { name: 'lib/.wh.gone' },
      { name: 'new', type: 'symlink', target: 'made' },
      { name: 'new/f', content: '3' },
    ]),
  );
  mountKernelOverlay(t, { ...layers, lowers: [unpacked, ...layers.lowers] }, 'redirect_dir=off');
  t.equal(
    shell('find . -mindepth 1 -printf "%P %y %m\n" | LC_ALL=C sort; stat -c %Y usr/lib/d', layers.target),
    `lib l 777
made d 755
made/f f 644
new l 777
usr d 755
usr/lib d 711
usr/lib/a f 644
usr/lib/b f 644
usr/lib/d d 700
usr/lib/d/f f 644
usr/lib64 l 777
5
`,
  );
});

t.test('attributes that Linux has not, or not on this kind of file, are left out', async (t) => {
  const ground = prepare(t);
  const note = (name: string): Map<string, Buffer> => new Map([[name, Buffer.from('x')]]);
  const unpacked = await ground.unpack(
    archiveOf([
      { name: 'f', xattrs: new Map([...note('com.apple.quarantine'), ...note('user.kept')]) },
      { name: 's', type: 'symlink', target: 'f', xattrs: note('user.none') },
    ]),
  );
  t.equal(shell('getfattr -h -d -m - f s', unpacked), '# file: f\nuser.kept="x"\n\n');
});

t.test('an implied directory is as it is below, but for what a layer between hides', async (t) => {
  const base = scratch(t);
  shell(
    `mkdir -p own/d/e own/gone/e own/o/e own/l bottom/d/e bottom/gone/e bottom/o/e bottom/l between/d between/o/ elsewhere
     chmod -R 700 bottom; mknod between/gone c 0 0; setfattr -n trusted.overlay.opaque -v y between/o; ln -s ../elsewhere between/l`,
    base,
  );
  const lowers = [join(base, 'between'), join(base, 'bottom')];
  const root = fs.openSync(join(base, 'own'), 'r');
  t.teardown(() => fs.closeSync(root));
  adoptAttributes(root, ['d/e', 'gone/e', 'o/e', 'l'], lowers);
  t.equal(shell('stat -c %a d/e gone/e o/e l', join(base, 'own')), '700\n755\n755\n755\n');
});

/** What a hostile or faulty layer holds, and what is said of it. */
const HOSTILE: [what: string, items: Item[], message: RegExp][] = [
  ['an absolute name that climbs', [{ name: '/../tmp/evil', content: 'x' }], /leads out of the layer/],
  ['a name that climbs', [{ name: '../evil', content: 'x' }], /leads out of the layer/],
  ['a name that climbs in the middle', [{ name: 'a/../../evil', content: 'x' }], /leads out of the layer/],
  [
    'a file through a symlink',
    [
      { name: 'l', type: 'symlink', target: '/tmp' },
      { name: 'l/evil', content: 'x' },
    ],
    /behind a symlink that leads out/,
  ],
  [
    'a file through a relative symlink',
    [
      { name: 'l', type: 'symlink', target: '..' },
      { name: 'l/evil', content: 'x' },
    ],
    /behind a symlink that leads out/,
  ],
  [
    'a file through a symlink that climbs by another',
    [
      directory('d'),
      { name: 'd/up', type: 'symlink', target: '..' },
      { name: 'l', type: 'symlink', target: 'd/up/d/../../tmp' },
      { name: 'l/evil', content: 'x' },
    ],
    /behind a symlink that leads out/,
  ],
  [
    'a file through a circle of symlinks',
    [
      { name: 'l', type: 'symlink', target: 'm' },
      { name: 'm', type: 'symlink', target: 'l' },
      { name: 'l/evil', content: 'x' },
    ],
    /behind a file or a symlink/,
  ],
  [
    'a whiteout through a symlink',
    [
      { name: 'l', type: 'symlink', target: '/tmp' },
      { name: 'l/.wh.evil', content: '' },
    ],
    /behind a symlink that leads out/,
  ],
  [
    'a hard link to the outside',
    [{ name: 'h', type: 'hard link', target: '/etc/passwd' }],
    /not in the layer/,
  ],
  ['a hard link that climbs', [{ name: 'h', type: 'hard link', target: '../../etc/passwd' }], /leads out/],
  [
    'a hard link through a symlink',
    [
      { name: 'l', type: 'symlink', target: '/etc' },
      { name: 'h', type: 'hard link', target: 'l/passwd' },
    ],
    /behind a symlink that leads out/,
  ],
  ['a hard link to nothing', [{ name: 'h', type: 'hard link', target: 'none' }], /not in the layer/],
  [
    'a hard link to a directory',
    [directory('d'), { name: 'h', type: 'hard link', target: 'd' }],
    /leads to a directory/,
  ],
  ['a device that is a whiteout', [{ name: 'w', type: 'character device' }], /0:0 is a whiteout/],
  [
    'a file beneath a file',
    [
      { name: 'f', content: '1' },
      { name: 'f/g', content: '2' },
    ],
    /behind a file or a symlink/,
  ],
  ['a whiteout that climbs', [{ name: 'd/.wh...', content: '' }], /leads out/],
  ['a whiteout of nothing', [{ name: '.wh.', content: '' }], /hides nothing/],
  [
    'a name with a NUL',
    [
      { name: 'a', xattrs: new Map([['user.x', Buffer.from('y')]]) },
      { name: `a\0b${'c'.repeat(100)}`, content: 'x' },
    ],
    /NUL|damaged|malformed/,
  ],
  ['a component that is too long', [{ name: 'n'.repeat(256), content: 'x' }], /too long/],
  ['a path that is too long', [{ name: `${'d/'.repeat(2100)}f`, content: 'x' }], /too long/],
  ['a root that is no directory', [{ name: '.', content: 'x' }], /root of a layer is a file/],
];

for (const [what, items, message] of HOSTILE) {
  t.test(`${what} is refused, and nothing is left`, async (t) => {
    const ground = prepare(t);
    const before = shell(`ls -la /tmp/evil ${ground.base} /etc/passwd 2>&1 | grep -v ' [.]' || true`);
    await t.rejects(ground.unpack(archiveOf([{ name: 'first', content: 'x' }, ...items])), { message });
    t.strictSame(contents(ground), []);
    t.equal(shell(`ls -la /tmp/evil ${ground.base} /etc/passwd 2>&1 | grep -v ' [.]' || true`), before);
    t.notOk(fs.existsSync('/tmp/evil'));
  });
}

t.test('marks of overlayfs in an archive are data and lead nowhere', async (t) => {
  const ground = prepare(t);
  const layers = makeLayers(ground.base, 1);
  shell('mkdir -p secret plain; echo s > secret/f', layers.lowers[0]);
  const marks = (name: string): Item =>
    directory(name, {
      xattrs: new Map([
        ['trusted.overlay.redirect', Buffer.from('/secret')],
        ['trusted.overlay.opaque', Buffer.from('y')],
        ['user.overlay.opaque', Buffer.from('y')],
      ]),
    });
  const unpacked = await ground.unpack(archiveOf([marks('plain')]));
  mountKernelOverlay(t, { ...layers, lowers: [unpacked, ...layers.lowers] }, 'redirect_dir=on');
  t.strictSame(fs.readdirSync(join(layers.target, 'plain')), []);
  t.match(
    shell(`getfattr -d -m - --absolute-names ${unpacked}/plain`),
    /trusted.overlay.overlay.redirect="\/secret"/,
  );
});

t.test('bombs end at the limits', async (t) => {
  const ground = prepare(t);
  const limits = { size: 10_000, entries: 5 };
  const many = archiveOf(Array.from({ length: 6 }, (_, index) => ({ name: `f${index}`, content: 'x' })));
  await t.rejects(ground.unpack(many, { limits }), { message: /more than 5 entries; raise the limit/ });
  const large = archiveOf([{ name: 'zeros', content: '\0'.repeat(20_000) }]);
  await t.rejects(ground.unpack(gzipSync(large), { limits }), {
    message: /larger than 10000 bytes; raise the limit/,
  });
  const sparse = execFileSync('bash', [
    '-c',
    'd=$(mktemp -d); truncate -s 1T $d/f; tar -C $d -S --format=pax -cf - f; rm -r $d',
  ]);
  await t.rejects(ground.unpack(sparse), { message: /larger than/ });
  const after = Buffer.concat([archiveOf([{ name: 'f', content: 'x' }]), Buffer.alloc(1 << 20)]);
  await t.rejects(ground.unpack(gzipSync(after), { limits }), {
    message: 'unpack layer: the archive is larger than 30480 bytes; raise the limit with --max-layer-size',
  });
  const deep = archiveOf([{ name: `${'d/'.repeat(2000)}f`, content: 'x' }]);
  await t.rejects(ground.unpack(archiveOf([{ name: 'd/d/d/d/d/f' }, { name: 'g' }]), { limits }), {
    message: /more than 5 entries/,
  });
  t.equal(
    fs.existsSync(await ground.unpack(deep)),
    true,
    'directories that a name implies are no bomb alone',
  );
  t.strictSame(contents(ground).length, 2);
});

t.test('what was not announced is refused: digest, diff ID, size', async (t) => {
  const ground = prepare(t);
  const archive = gzipSync(archiveOf([{ name: 'f', content: 'x' }]));
  const other = digestOf('other') as Digest;
  await t.rejects(ground.unpack(archive, { digest: other }), {
    message: /digest is sha256:.* was announced/,
  });
  await t.rejects(ground.unpack(archive, { diffId: other }), { message: /diff ID is/ });
  await t.rejects(ground.unpack(archive, { size: 10 }), { message: /longer than the 10 bytes/ });
  await t.rejects(ground.unpack(archive.subarray(0, archive.length - 20)), {
    message: /decompressed|cut off/,
  });
  const damaged = Buffer.from(archive);
  damaged[30] ^= 0xff;
  await t.rejects(ground.unpack(damaged), { message: /decompressed|tar archive/ });
  await t.rejects(ground.unpack(Buffer.from('nonsense'.repeat(200))), { message: /no tar archive/ });
  t.strictSame(contents(ground), []);
});

t.test('a full disk leaves the store as it was', async (t) => {
  const base = scratch(t);
  const small = join(base, 'small');
  fs.mkdirSync(small);
  shell(`mount -t tmpfs -o size=2m tsoverlay-test ${small}`);
  t.teardown(() => shell(`umount -l ${small}`));
  const store = Store.open(join(small, 'store'));
  const ground = { base, store, unpack: async () => '' };
  await storeLayer(store, chunks(archiveOf([{ name: 'ok', content: 'x' }])), 'layer');
  const before = contents(ground);
  const large = archiveOf([{ name: 'f', content: 'x'.repeat(3 << 20) }]);
  await t.rejects(storeLayer(store, chunks(large), 'layer'), {
    message: /no space is left on the device; free some/,
  });
  t.strictSame(contents(ground), before);
});

t.test('an empty layer is one', async (t) => {
  const ground = prepare(t);
  t.strictSame(fs.readdirSync(await ground.unpack(END_OF_ARCHIVE)), []);
  t.strictSame(fs.readdirSync(await ground.unpack(Buffer.alloc(0))), []);
  t.ok(fileEntry('x', Buffer.alloc(0)).length > 0);
});
