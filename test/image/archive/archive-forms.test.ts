// SPDX-License-Identifier: MIT
/** Archives of images in every form that tools give them: compressed, sparse, with long names, in any order, with links. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { digestOf } from '../../../lib/image/model/digest.js';
import { run, scratch, shell } from '../../support/ground.js';
import { type Cli, type Outcome, storeCli } from '../../support/images.js';

/** By which an archive is made, and how its name ends. */
const COMPRESSORS: [ending: string, command: string][] = [
  ['gz', 'gzip -nc'],
  ['zst', 'zstd -qc'],
  ['xz', 'xz -c'],
  ['bz2', 'bzip2 -c'],
];

/** A folder `d` as `docker save` wrote it, and `root.tar`, the layer in it; the layer has a long stretch of zeros. */
function dockerFolder(base: string, layer = 'l/layer.tar'): void {
  shell(
    'mkdir -p d root; echo amd64 > root/which; head -c 2000000 /dev/zero > root/zeros; echo end > root/zz; tar -C root -cf root.tar which zeros zz',
    base,
  );
  const diffId = digestOf(readFileSync(join(base, 'root.tar')));
  const config = { architecture: 'amd64', os: 'linux', rootfs: { type: 'layers', diff_ids: [diffId] } };
  writeFileSync(join(base, 'd/c.json'), JSON.stringify(config));
  const list = [{ Config: 'c.json', RepoTags: ['x:1'], Layers: [layer] }];
  writeFileSync(join(base, 'd/manifest.json'), JSON.stringify(list));
}

function plainFolder(base: string): void {
  dockerFolder(base);
  shell('mkdir d/l; cp root.tar d/l/layer.tar; tar -C d -cf d.tar c.json l/layer.tar manifest.json', base);
}

/** A command line that gets a file by a pipe. */
function piped(t: Test, base: string, name: string, file: string): Cli {
  const program = join(process.cwd(), 'bin/tsoverlay');
  return storeCli(t, base, name, ['sh', '-c', `cat ${join(base, file)} | ${program} "$@"`, 'sh']);
}

async function holds(t: Test, cli: Cli, what: string): Promise<void> {
  await cli.ok('export', '-o', join(cli.base, 'out.tar'), 'x:1');
  t.equal(shell('tar -xOf out.tar which zeros zz | sha256sum', cli.base), expected, what);
  t.match(await cli.ok('system', 'check'), /nothing is wrong/, what);
}
const expected = shell('(echo amd64; head -c 2000000 /dev/zero; echo end) | sha256sum', '/');

t.test('archives and root file systems are loaded however they are compressed, also by a pipe', async (t) => {
  const base = scratch(t);
  plainFolder(base);
  for (const [ending, command] of COMPRESSORS) {
    for (const file of ['d', 'root']) {
      shell(
        `${command} < ${file}.tar > ${file}.${ending}; ${command} < ${file}.${ending} > ${file}2.${ending}`,
        base,
      );
      // Each compressor's output may be put after another's.
      const half = `head -c 1000000 ${file}.tar | ${command}; tail -c +1000001 ${file}.tar | ${command}`;
      shell(`(${half}) > ${file}-parts.${ending}`, base);
    }
  }
  shell('xz < d.gz > d3.xz; gzip < root.xz > root3.gz; zstd -q < root.bz2 > root3.zst', base);
  const endings = COMPRESSORS.map(([ending]) => ending);
  const forms = [
    ...endings,
    ...endings.map((ending) => `2.${ending}`),
    ...endings.map((ending) => `-parts.${ending}`),
  ];
  const named = (file: string, form: string): string => `${file}${form.match(/^\w+$/) ? '.' : ''}${form}`;
  for (const form of [...forms, '3.xz']) {
    const file = named('d', form);
    const cli = storeCli(t, base, `file-${file}`);
    await cli.ok('load', '-q', '-i', join(base, file));
    await holds(t, cli, file);
    if (!endings.includes(form)) continue;
    await piped(t, base, `pipe-${file}`, file).ok('load', '-q');
    await holds(t, storeCli(t, base, `pipe-${file}`), `${file} by a pipe`);
  }
  for (const form of [...forms.slice(0, 8), '3.gz', '3.zst']) {
    const file = named('root', form);
    const cli = storeCli(t, base, `import-${file}`);
    await cli.ok('import', join(base, file), 'x:1');
    await holds(t, cli, file);
    await cli.ok('save', '-o', join(base, 'saved.tar'), 'x:1');
    t.match(
      run('skopeo', 'inspect', `oci-archive:${base}/saved.tar`),
      /"Layers"/,
      `skopeo reads ${file} as we keep it`,
    );
    if (!endings.includes(form)) continue;
    await piped(t, base, `import-pipe-${file}`, file).ok('import', '-', 'x:1');
    await holds(t, storeCli(t, base, `import-pipe-${file}`), `${file} by a pipe`);
  }
});

t.test('a layer in an archive is taken however it is compressed', async (t) => {
  const base = scratch(t);
  plainFolder(base);
  for (const [ending, command] of COMPRESSORS) {
    shell(`${command} root.tar > d/l/layer.tar`, base);
    const cli = storeCli(t, base, ending);
    await cli.ok('load', '-q', '-i', join(base, 'd'));
    await holds(t, cli, ending);
  }
});

t.test('an archive whose compressed bytes are damaged is refused, and nothing is kept', async (t) => {
  const base = scratch(t);
  plainFolder(base);
  for (const [ending, command] of COMPRESSORS) {
    // The damage is in the last bytes, where sums are: all of the archive comes before it.
    shell(`${command} d.tar > ok; head -c -6 ok > cut.${ending}`, base);
    const bytes = readFileSync(join(base, 'ok'));
    bytes[Math.floor(bytes.length / 2)] ^= 0xff;
    writeFileSync(join(base, `flipped.${ending}`), bytes);
    for (const kind of ['cut', 'flipped']) {
      const cli = storeCli(t, base, `store-${kind}-${ending}`);
      const file = `${kind}.${ending}`;
      const answer = { status: 1, stderr: new RegExp(`^tsoverlay: .*${base}/${file}: `) };
      t.match(await cli.run('load', '-i', join(base, file)), answer, file);
      t.match(await cli.run('import', join(base, file), 'x:1'), answer, `import of ${file}`);
      t.equal(await cli.ok('images', '-q'), '', file);
      t.match(await cli.ok('system', 'check'), /nothing is wrong/, file);
    }
  }
});

t.test(
  'a few bytes that inflate without an end are refused at the limits, and nothing is kept',
  async (t) => {
    const base = scratch(t);
    dockerFolder(base);
    shell(
      `truncate -s 200M zeros; gzip -c zeros > once.gz; gzip -c once.gz > twice.gz; zstd -qc once.gz > twice.zst; xz -c zeros | bzip2 > twice.bz2
     tar -cf - zeros | gzip | gzip > member.gz
     printf '' | gzip -n > empty; for i in $(seq 16); do cat empty empty > more; mv more empty; done; gzip -nc empty > members.gz
     mkdir d/l; truncate -s 1T d/l/layer.tar; tar -C d -S -cf hole.tar manifest.json c.json l`,
      base,
    );
    const limits = ['--max-layer-size', '1m', '--max-layer-entries', '10'];
    const refused = {
      status: 1,
      stderr:
        /^tsoverlay: unpack \S+( \S+)?: the archive is larger than 1089536 bytes; raise the limit with --max-layer-size\n$/,
    };
    const cli = storeCli(t, base);
    for (const file of [
      'once.gz',
      'twice.gz',
      'twice.zst',
      'twice.bz2',
      'member.gz',
      'members.gz',
      'hole.tar',
    ]) {
      t.match(await cli.run('load', '-i', join(base, file), ...limits), refused, `load of ${file}`);
      t.match(
        await piped(t, base, 'store', file).run('load', ...limits),
        refused,
        `load of ${file} by a pipe`,
      );
      if (!/member|hole/.test(file))
        t.match(await cli.run('import', join(base, file), ...limits), refused, `import of ${file}`);
    }
    for (const part of ['blobs/sha256', 'layers', 'staging'])
      t.strictSame(readdirSync(join(cli.root, part)), [], part);
  },
);

t.test('where a program that decompresses is missing, the message names it', async (t) => {
  const base = scratch(t);
  plainFolder(base);
  shell(`xz d.tar; mkdir bin; ln -s ${process.execPath} bin/node; ln -s $(which sh) $(which env) bin`, base);
  const cli = storeCli(t, base);
  cli.environment.PATH = join(base, 'bin');
  t.match(await cli.run('load', '-i', join(base, 'd.tar.xz')), {
    status: 1,
    stderr: /d.tar.xz: there is no xz on this machine; install xz/,
  });
});

t.test('layers that are sparse members are read whole, in each form that tar has', async (t) => {
  const base = scratch(t);
  plainFolder(base);
  shell('cp --sparse=always root.tar d/l/layer.tar', base);
  for (const form of [
    '--format=gnu',
    '--format=posix --sparse-version=0.0',
    '--format=posix --sparse-version=0.1',
    '--format=posix --sparse-version=1.0',
  ]) {
    shell(`tar -C d -S ${form} -cf sparse.tar manifest.json l c.json`, base);
    t.ok(readFileSync(join(base, 'sparse.tar')).length < 1_000_000, 'the archive has a hole');
    const cli = storeCli(t, base, form.replaceAll(/[^\w.]/g, ''));
    await cli.ok('load', '-q', '-i', join(base, 'sparse.tar'));
    await holds(t, cli, form);
  }
});

t.test('members are found in any order and under names of any length and form', async (t) => {
  const base = scratch(t);
  const long = `${'directory-with-a-long-name/'.repeat(12)}läyer.tar`;
  dockerFolder(base, long);
  shell(`mkdir -p d/${long.slice(0, long.lastIndexOf('/'))}; cp root.tar d/${long}`, base);
  const orders = [
    `manifest.json c.json ${long}`,
    `${long} c.json manifest.json`,
    `./c.json ./${long} ./manifest.json`,
  ];
  for (const format of ['gnu', 'posix']) {
    for (const [index, order] of orders.entries()) {
      shell(`tar -C d --format=${format} -cf order.tar ${order}`, base);
      const cli = storeCli(t, base, `${format}-${index}`);
      await cli.ok('load', '-q', '-i', join(base, 'order.tar'));
      await holds(t, cli, `${format} ${order.slice(0, 20)}`);
    }
  }
});

t.test(
  'layers and configurations that are links lead to what they name, but never out of the archive',
  async (t) => {
    const base = scratch(t);
    dockerFolder(base);
    const forms: [name: string, script: string][] = [
      ['a hard link', 'mkdir l o; cp $R o/x; ln o/x l/layer.tar; tar -cf ../a.tar o c.json l manifest.json'],
      [
        'a symlink',
        'mkdir l o; cp $R o/x; ln -s ../o/x l/layer.tar; tar -cf ../a.tar l c.json o manifest.json',
      ],
      [
        'an absolute symlink',
        'mkdir l o; cp $R o/x; ln -s /o/x l/layer.tar; tar -cf ../a.tar l c.json o manifest.json',
      ],
      [
        'a symlinked directory',
        'mkdir o; cp $R o/layer.tar; ln -s o l; tar -cf ../a.tar l c.json o manifest.json',
      ],
      [
        'links to links',
        'mkdir o p; cp $R o/layer.tar; ln -s ../o p/q; ln -s p/q l; mv c.json c; ln -s c c2; ln -s c2 c.json; tar -cf ../a.tar l p o c c2 c.json manifest.json',
      ],
    ];
    const load = async (script: string, name: string): Promise<[Cli, Outcome]> => {
      shell(`rm -rf e; cp -r d e; cd e; R=../root.tar; ${script}`, base);
      const cli = storeCli(t, base, name.replaceAll(' ', '-'));
      return [cli, await cli.run('load', '-q', '-i', join(base, 'a.tar'))];
    };
    for (const [name, script] of forms) {
      const [cli, outcome] = await load(script, name);
      t.match(outcome, { status: 0, stderr: '' }, name);
      await holds(t, cli, name);
    }
    const outside = `mkdir l; ln -s ${join(base, 'root.tar')} l/layer.tar; tar -cf ../a.tar l c.json manifest.json`;
    const circle = 'ln -s m l; ln -s l m; tar -cf ../a.tar l m c.json manifest.json';
    for (const [name, script] of [
      ['outside', outside],
      ['circle', circle],
    ]) {
      const [, outcome] = await load(script, name);
      t.match(outcome, { status: 1, stderr: /layer.tar is missing/ }, name);
    }
  },
);
