// SPDX-License-Identifier: MIT
/** Indexes as other tools write them, in registries and in archives, and the platform that is asked for. */
import { execFile } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t, { type Test } from 'tap';
import { run, scratch, shell } from '../../support/ground.js';
import { type Cli, storeCli } from '../../support/images.js';
import { CONFIG, type Descriptor, INDEX, MANIFEST, OddRegistry } from '../../support/odd-registry.js';

const execute = promisify(execFile);

type More = { platform?: object; annotations?: object; artifactType?: string };

const platform = (text: string): { platform: Record<string, string> } => {
  const [os, architecture, variant] = text.split('/');
  return { platform: { os, architecture, ...(variant === undefined ? {} : { variant }) } };
};
const attestation = { ...platform('unknown/unknown') };

function index(registry: OddRegistry, manifests: object[], tag?: string): Descriptor {
  return registry.manifest('a', { schemaVersion: 2, mediaType: INDEX, manifests }, tag);
}

/** An image whose file `which` says what it is. */
function image(registry: OddRegistry, which: string, config: object = {}): Descriptor {
  const { digest, mediaType, size } = registry.image(
    'a',
    `image-${which.replaceAll('/', '-')}`,
    { which },
    config,
  );
  return { digest, mediaType, size };
}

function artifact(registry: OddRegistry, config: string, layer: string, more: object = {}): Descriptor {
  return registry.manifest('a', {
    schemaVersion: 2,
    mediaType: MANIFEST,
    config: registry.blob(Buffer.from('{}'), config),
    layers: [registry.blob(Buffer.from(`"${layer}"`), layer)],
    ...more,
  });
}

/** A layout with all that a registry has, whose index.json lists these. */
function layoutOf(registry: OddRegistry, path: string, manifests: readonly object[]): string {
  mkdirSync(join(path, 'blobs/sha256'), { recursive: true });
  const blobs = new Map(registry.blobs);
  for (const [key, { bytes }] of registry.manifests)
    if (key.includes('@')) blobs.set(key.split('@')[1], bytes);
  for (const [digest, bytes] of blobs) writeFileSync(join(path, 'blobs/sha256', digest.slice(7)), bytes);
  writeFileSync(join(path, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
  writeFileSync(join(path, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests }));
  return path;
}

const named = (descriptor: object, name = 'x:1', more: More = {}): object => ({
  ...descriptor,
  ...more,
  annotations: { 'org.opencontainers.image.ref.name': name, ...more.annotations },
});

async function which(cli: Cli, name: string): Promise<string> {
  await cli.ok('export', '-o', join(cli.base, 'out.tar'), name);
  return shell('tar -xOf out.tar ./which which 2>/dev/null || true', cli.base);
}

const arm64 = { architecture: 'arm64' };

t.test('the image for a platform is found in an index of any shape, by pull and by load', async (t) => {
  const registry = await OddRegistry.start(t);
  const base = scratch(t);
  const amd = image(registry, 'amd64');
  const arm = image(registry, 'arm64', arm64);
  const silent = image(registry, 'silent', { architecture: '', os: null });
  const note = { ...artifact(registry, CONFIG, 'application/vnd.in-toto+json'), ...attestation };
  const other = artifact(registry, 'application/vnd.cncf.helm.config.v1+json', 'application/x.chart.tar');
  const inner = index(registry, [{ ...amd, ...platform('linux/amd64') }, note]);
  const both = index(registry, [
    { ...arm, ...platform('linux/arm64') },
    { ...amd, ...platform('linux/amd64') },
  ]);
  const shapes: [name: string, manifests: object[], wanted: string, expected: string][] = [
    ['one-silent-descriptor', [amd], 'linux/amd64', 'amd64'],
    ['silent-descriptors', [arm, amd], 'linux/amd64', 'amd64'],
    ['silent-descriptors-arm64', [amd, arm], 'linux/arm64', 'arm64'],
    ['silent-beside-stated', [{ ...arm, ...platform('linux/arm64') }, amd], 'linux/amd64', 'amd64'],
    [
      'null-platforms',
      [
        { ...arm, platform: null },
        { ...amd, platform: {} },
      ],
      'linux/amd64',
      'amd64',
    ],
    ['own-before-lesser', [{ ...arm, ...platform('linux/386') }, amd], 'linux/amd64', 'amd64'],
    ['attestation-first', [note, { ...amd, ...platform('linux/amd64') }], 'linux/amd64', 'amd64'],
    ['artifact-without-platform', [other, amd], 'linux/amd64', 'amd64'],
    [
      'artifact-that-says-so',
      [{ ...other, artifactType: 'application/x.chart' }, amd],
      'linux/amd64',
      'amd64',
    ],
    [
      'nested-stated',
      [
        { ...inner, ...platform('linux/amd64') },
        { ...arm, ...platform('linux/arm64') },
      ],
      'linux/amd64',
      'amd64',
    ],
    ['nested-silent', [inner], 'linux/amd64', 'amd64'],
    ['nested-of-both', [inner, both], 'linux/arm64', 'arm64'],
    ['nested-deep', [index(registry, [index(registry, [both])])], 'linux/arm64', 'arm64'],
    [
      'index-speaks-for-configuration',
      [{ ...silent, ...platform('linux/s390x') }, amd],
      'linux/s390x',
      'silent',
    ],
    [
      'other-spelling',
      [
        { ...amd, ...platform('linux/x86_64') },
        { ...arm, ...platform('linux/aarch64') },
      ],
      'linux/arm64',
      'arm64',
    ],
    [
      'lost-best',
      [{ ...amd, digest: `sha256:${'0'.repeat(64)}`, ...platform('linux/amd64') }, amd],
      'linux/amd64',
      'amd64',
    ],
  ];
  for (const [name, manifests, wanted, expected] of shapes) {
    const pulled = storeCli(t, base, `pull-${name}`);
    const list = index(registry, manifests, name);
    await pulled.ok('pull', '-q', '--platform', wanted, `${registry.host}/a:${name}`);
    t.equal(await which(pulled, `${registry.host}/a:${name}`), expected, `pull of ${name}`);
    for (const [way, entries] of [
      ['an index', [named(list)]],
      ['alike names', manifests.map((one) => named(one))],
    ] as const) {
      const cli = storeCli(t, base, `load-${name}-${way.slice(0, 2)}`);
      const layout = layoutOf(registry, join(base, `layout-${name}-${way.slice(0, 2)}`), entries);
      await cli.ok('load', '-q', '--platform', wanted, '-i', layout);
      t.equal(await which(cli, 'x:1'), expected, `load of ${way}: ${name}`);
    }
  }
  const stated = storeCli(t, base, 'pull-index-speaks-for-configuration');
  const name = `${registry.host}/a:index-speaks-for-configuration`;
  t.equal(await stated.ok('inspect', '-f', '{{.Os}}/{{.Architecture}}', name), 'linux/s390x\n');
  await stated.ok('tag', name, 'other:1');
  await stated.ok('save', '-o', join(base, 'saved.tar'), 'other:1');
  const again = storeCli(t, base, 'again');
  await again.ok('load', '-q', '--platform', 'linux/s390x', '-i', join(base, 'saved.tar'));
  t.equal(
    await again.ok('inspect', '-f', '{{.Architecture}}', 'other:1'),
    's390x\n',
    'what the index said is saved',
  );
});

t.test('an image for one platform is loaded anywhere, until another is asked for', async (t) => {
  const registry = await OddRegistry.start(t);
  const base = scratch(t);
  const foreign = image(registry, 's390x', { architecture: 's390x' });
  for (const [name, entry] of [
    ['plain', foreign],
    ['stated', { ...foreign, ...platform('linux/s390x') }],
    ['in-an-index', index(registry, [{ ...foreign, ...platform('linux/s390x') }])],
  ] as const) {
    const layout = layoutOf(registry, join(base, name), [named(entry)]);
    const cli = storeCli(t, base, `store-${name}`);
    t.match(await cli.run('load', '-i', layout, '--platform', 'linux/ppc64le'), {
      status: 1,
      stderr: /x:1: there is none for linux\/ppc64le; choose another with --platform: linux\/s390x/,
    });
    t.equal(await cli.ok('images', '-q'), '');
    await cli.ok('load', '-q', '-i', layout);
    t.equal(await which(cli, 'x:1'), 's390x');
  }
  const cli = storeCli(t, base);
  t.match(await cli.run('pull', `${registry.host}/a:image-s390x`), {
    status: 0,
    stderr: /is for linux\/s390x, this machine is/,
  });
});

t.test(
  'a platform that is not there is refused by each command, and those that are there are named',
  async (t) => {
    const registry = await OddRegistry.start(t);
    const base = scratch(t);
    const arm = image(registry, 'arm64', arm64);
    const amd = image(registry, 'amd64');
    index(registry, [{ ...amd, ...platform('linux/amd64') }, arm], 'list');
    const cli = storeCli(t, base);
    const context = join(base, 'context');
    mkdirSync(context);
    for (const [tag, offered] of [
      ['list', /none for linux\/s390x; choose another with --platform: linux\/amd64, linux\/arm64/],
      ['image-arm64', /none for linux\/s390x; choose another with --platform: linux\/arm64/],
    ] as const) {
      const name = `${registry.host}/a:${tag}`;
      writeFileSync(join(context, 'Dockerfile'), `FROM ${name}\nLABEL a=b\n`);
      writeFileSync(join(context, 'Other'), `FROM --platform=linux/s390x ${name}\nLABEL a=b\n`);
      for (const [...words] of [
        ['pull', '--platform', 'linux/s390x', name],
        ['run', '--platform', 's390x', '--rm', name, '/x'],
        ['create', '--platform', 'linux/s390x', name, '/x'],
        ['build', '-q', '--platform', 'linux/s390x', context],
        ['build', '-q', '-f', join(context, 'Other'), context],
      ]) {
        const { status, stderr } = await cli.run(...words);
        t.not(status, 0, words[0]);
        t.match(stderr, offered, words.join(' '));
      }
    }
    t.equal(await cli.ok('images', '-q'), '');
    // What is here for another platform is not taken for the one that is asked for.
    const list = `${registry.host}/a:list`;
    await cli.ok('pull', '-q', '--platform', 'linux/amd64', list);
    t.match(await cli.run('create', '--pull', 'never', '--platform', 'linux/arm64', list, '/x'), {
      status: 125,
      stderr: /it is for linux\/amd64, not for linux\/arm64/,
    });
    const id = (await cli.ok('inspect', '-f', '{{.Id}}', list)).trim();
    t.match(await cli.run('create', '--platform', 'linux/arm64', id, '/x'), {
      status: 125,
      stderr: /not for linux\/arm64/,
    });
    await cli.ok('create', '-q', '--name', 'c1', '--platform', 'linux/arm64', list, '/x');
    t.teardown(() => cli.run('rm', '-f', 'c1'));
    t.equal(await which(cli, list), 'arm64', 'it is pulled for the other platform');
    t.match(await cli.run('pull', '--platform', 'amd65', list), {
      status: 2,
      stderr: /amd65 is neither.*amd64/,
    });
  },
);

t.test('what is no image is named where it is asked for, and passed over beside one', async (t) => {
  const registry = await OddRegistry.start(t);
  const base = scratch(t);
  const chart = artifact(
    registry,
    'application/vnd.cncf.helm.config.v1+json',
    'application/vnd.cncf.helm.chart.content.v1.tar+gzip',
  );
  const bill = artifact(registry, 'application/vnd.oci.empty.v1+json', 'text/spdx', {
    artifactType: 'application/spdx+json',
  });
  const signature = artifact(registry, CONFIG, 'application/vnd.dev.cosign.simplesigning.v1+json');
  const amd = image(registry, 'amd64');
  const kinds: [name: string, descriptor: Descriptor, kind: RegExp][] = [
    ['chart', chart, /it is no image, but application\/vnd.cncf.helm.config.v1\+json; get it with/],
    ['bill', bill, /it is no image, but application\/spdx\+json/],
    ['signature', signature, /it is no image, but application\/vnd.dev.cosign.simplesigning/],
  ];
  for (const [name, descriptor, kind] of kinds) {
    const cli = storeCli(t, base, name);
    t.match(
      await cli.run('pull', `${registry.host}/a@${descriptor.digest}`),
      { status: 1, stderr: kind },
      name,
    );
    const alone = layoutOf(registry, join(base, `alone-${name}`), [named(descriptor)]);
    t.match(await cli.run('load', '-i', alone), { status: 1, stderr: kind }, name);
    t.equal(await cli.ok('images', '-q'), '');
    for (const [order, entries] of [
      ['before', [named(descriptor, 'y:1'), named(amd)]],
      ['after', [named(amd), descriptor]],
      ['alike', [named(descriptor), named(amd)]],
    ] as const) {
      const layout = layoutOf(registry, join(base, `${order}-${name}`), [...entries]);
      const beside = storeCli(t, base, `${name}-${order}`);
      t.equal(await beside.ok('load', '-i', layout), 'Loaded image: x:1\n', `${name} ${order}`);
      t.equal(await which(beside, 'x:1'), 'amd64');
    }
  }
  const empty = layoutOf(registry, join(base, 'empty'), []);
  t.match(await storeCli(t, base).run('load', '-i', empty), { status: 1, stderr: /it holds no image/ });
});

t.test('an index without an end, or of too many, is given up', async (t) => {
  const registry = await OddRegistry.start(t);
  const cli = storeCli(t);
  const amd = image(registry, 'amd64');
  let deep = index(registry, [amd]);
  for (let depth = 0; depth < 20; depth++) deep = index(registry, [deep]);
  index(registry, [deep], 'deep');
  const many = Array.from({ length: 300 }, (_, at) => ({ ...amd, annotations: { at: String(at) } }));
  index(registry, many, 'many');
  registry.manifest(
    'a',
    { schemaVersion: 2, mediaType: INDEX, manifests: [amd], config: amd, layers: [] },
    'both',
  );
  for (const [tag, reason] of [
    ['deep', /more than 8 deep/],
    ['many', /none of its first 200 manifests serves/],
    ['both', /an index and a manifest at once/],
  ] as const)
    t.match(await cli.run('pull', `${registry.host}/a:${tag}`), { status: 1, stderr: reason }, tag);
  t.match(await cli.ok('system', 'check'), /nothing is wrong/);
});

t.test('a configuration that says little is one for every command, and stays as it is', async (t) => {
  const registry = await OddRegistry.start(t);
  const base = scratch(t);
  const nothing = {
    Env: null,
    Entrypoint: null,
    Cmd: null,
    Labels: null,
    Volumes: null,
    ExposedPorts: null,
    User: null,
    WorkingDir: null,
  };
  const configs: [name: string, config: object][] = [
    ['absent', { architecture: undefined, os: undefined, config: undefined }],
    [
      'null',
      {
        architecture: null,
        os: null,
        variant: null,
        config: null,
        history: null,
        created: null,
        author: null,
      },
    ],
    ['nulls-within', { config: nothing, history: null }],
    ['empty', { architecture: '', os: '', variant: '', created: '', author: '', history: [] }],
  ];
  const context = join(base, 'context');
  mkdirSync(context);
  for (const [name, config] of configs) {
    const { digest } = registry.image('a', name, { which: name }, config);
    const cli = storeCli(t, base, name);
    const full = `${registry.host}/a:${name}`;
    await cli.ok('pull', '-q', full);
    t.match(await cli.ok('inspect', '-f', '{{.Os}}/{{.Architecture}}', full), /^linux\/\w+\n$/, name);
    t.match(await cli.ok('history', full), /IMAGE/, name);
    t.match(await cli.ok('images'), new RegExp(name), name);
    await cli.ok('create', '--name', 'c1', full, '/x');
    await cli.ok('commit', 'c1', 'committed');
    await cli.ok('rm', 'c1');
    writeFileSync(join(context, 'Dockerfile'), `FROM ${full}\nLABEL a=b\nENV c=d\nCMD ["/x"]\n`);
    await cli.ok('build', '-q', '-t', 'built', context);
    for (const made of ['committed', 'built'])
      t.match(
        await cli.ok('inspect', '-f', '{{.Os}}/{{.Architecture}}', made),
        /^linux\/\w+\n$/,
        `${name}, ${made}`,
      );
    await cli.ok('tag', full, `${registry.host}/pushed:${name}`);
    await cli.ok('push', '-q', `${registry.host}/pushed:${name}`);
    t.ok(registry.manifests.has(`pushed@${digest}`), `${name} is pushed as it came`);
    const archive = join(base, `${name}.tar`);
    await cli.ok('save', '-o', archive, full);
    run('skopeo', 'inspect', '--raw', `oci-archive:${archive}`);
    const again = storeCli(t, base, `again-${name}`);
    await again.ok('load', '-q', '-i', archive);
    t.equal(await which(again, full), name);
    t.match(await again.ok('system', 'check'), /nothing is wrong/);
  }
});

t.test('of alike names in an archive of Docker the image for the platform has the name', async (t) => {
  const base = scratch(t);
  shell(
    'mkdir d; for a in arm64 amd64 s390x; do mkdir $a; printf $a > $a/which; tar -C $a -cf d/$a.tar which; done',
    base,
  );
  const items = ['arm64', 'amd64', 's390x'].map((architecture) => {
    const diff = shell(`sha256sum < d/${architecture}.tar`, base).slice(0, 64);
    const config = { architecture, os: 'linux', rootfs: { type: 'layers', diff_ids: [`sha256:${diff}`] } };
    writeFileSync(join(base, `d/${architecture}.json`), JSON.stringify(config));
    return { Config: `${architecture}.json`, RepoTags: ['x:1'], Layers: [`${architecture}.tar`] };
  });
  writeFileSync(join(base, 'd/manifest.json'), JSON.stringify([...items, { ...items[2], RepoTags: null }]));
  for (const wanted of ['arm64', 'amd64', 's390x']) {
    const cli = storeCli(t, base, wanted);
    await cli.ok('load', '-q', '--platform', wanted, '-i', join(base, 'd'));
    t.equal(await which(cli, 'x:1'), wanted);
  }
  t.match(await storeCli(t, base).run('load', '--platform', 'ppc64le', '-i', join(base, 'd')), {
    status: 1,
    stderr: /x:1: there is none for linux\/ppc64le/,
  });
});

t.test('an index is taken from a layout of skopeo as from the registry', async (t: Test) => {
  const registry = await OddRegistry.start(t);
  const base = scratch(t);
  const list = [
    { ...image(registry, 'arm64', arm64), ...platform('linux/arm64/v8') },
    { ...image(registry, 'amd64'), ...platform('linux/amd64') },
  ];
  index(registry, list, 'list');
  const skopeo = [
    '--insecure-policy',
    'copy',
    '-q',
    '--all',
    '--src-tls-verify=false',
    `docker://${registry.host}/a:list`,
  ];
  await execute('skopeo', [...skopeo, `oci:${base}/layout:x:1`]);
  await execute('skopeo', [...skopeo, `oci-archive:${base}/archive.tar:x:1`]);
  for (const source of ['layout', 'archive.tar']) {
    for (const wanted of ['arm64', 'amd64']) {
      const cli = storeCli(t, base, `${source}-${wanted}`);
      await cli.ok('load', '-q', '--platform', wanted, '-i', join(base, source));
      t.equal(await which(cli, 'x:1'), wanted, `${source} ${wanted}`);
    }
  }
});
