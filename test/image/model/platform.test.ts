// SPDX-License-Identifier: MIT
/** Platforms: how they are spelled, which image serves where, and what documents say of them. */
import t from 'tap';
import { configPlatform, parseConfig } from '../../../lib/image/model/image-config.js';
import { artifactKind, documentType, parseIndex, parseManifest } from '../../../lib/image/model/manifest.js';
import { fitness, parsePlatform, platformName } from '../../../lib/image/model/platform.js';
import { processorVariant } from '../../../lib/image/model/processor.js';

const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));
const DIGEST = `sha256:${'a'.repeat(64)}`;
const descriptor = { mediaType: '', digest: DIGEST, size: 3 };

t.test('a platform is read in every spelling that tools have for it', async (t) => {
  const host = parsePlatform('linux').architecture;
  const spellings: [given: string, meant: string][] = [
    ['linux/x86-64', 'linux/amd64'],
    ['linux/x86_64', 'linux/amd64'],
    ['x86_64', 'linux/amd64'],
    ['Linux/AMD64', 'linux/amd64'],
    ['linux/amd64/v3', 'linux/amd64/v3'],
    ['linux/i386', 'linux/386'],
    ['linux/i686', 'linux/386'],
    ['linux/aarch64', 'linux/arm64'],
    ['aarch64', 'linux/arm64'],
    ['linux/arm64/8', 'linux/arm64/v8'],
    ['linux/arm64/v8.2', 'linux/arm64/v8.2'],
    ['linux/armhf', 'linux/arm/v7'],
    ['linux/armel', 'linux/arm/v6'],
    ['linux/armv7l', 'linux/arm/v7'],
    ['linux/arm/7', 'linux/arm/v7'],
    ['linux/ppc64el', 'linux/ppc64le'],
    ['macos/arm64', 'darwin/arm64'],
    ['windows', `windows/${host}`],
    ['linux/e2k', 'linux/e2k'],
  ];
  for (const [given, meant] of spellings) t.equal(platformName(parsePlatform(given)), meant, given);
  t.throws(() => parsePlatform('a/b/c/d'), { message: /not possible/ });
  t.throws(() => parsePlatform('linux//v8'), { message: /not possible/ });
  t.throws(() => parsePlatform('amd65'), {
    message: /neither an operating system nor a processor/,
    remedy: /amd64/,
  });
});

t.test('of several images the best that runs there is taken, and none that asks for more', async (t) => {
  const best = (wanted: string, ...offers: string[]): string | undefined =>
    offers
      .map((text) => ({ text, fit: fitness(parsePlatform(wanted), parsePlatform(text)) }))
      .filter(({ fit }) => fit > 0)
      .sort((a, b) => b.fit - a.fit)[0]?.text;
  const amd64 = [
    'linux/386',
    'linux/amd64',
    'linux/amd64/v2',
    'linux/amd64/v3',
    'linux/amd64/v4',
    'linux/amd64/v9',
  ];
  const arm = ['linux/arm/v5', 'linux/arm/v6', 'linux/arm/v7', 'linux/arm/v8'];
  const arm64 = [
    'linux/arm/v7',
    'linux/arm64',
    'linux/arm64/v8.2',
    'linux/arm64/v8.6',
    'linux/arm64/v9',
    'linux/arm64/v9.2',
  ];
  const cases: [wanted: string, offers: string[], chosen: string | undefined][] = [
    ['linux/amd64', amd64, 'linux/amd64'],
    ['linux/amd64/v1', amd64, 'linux/amd64'],
    ['linux/amd64/v3', amd64, 'linux/amd64/v3'],
    ['linux/amd64/v4', amd64, 'linux/amd64/v4'],
    ['linux/amd64/v3', ['linux/amd64/v1'], 'linux/amd64/v1'],
    ['linux/amd64', ['linux/amd64/v2', 'linux/386'], 'linux/386'],
    ['linux/386', amd64.slice(1), undefined],
    ['linux/arm', arm, 'linux/arm/v7'],
    ['linux/arm/v6', arm, 'linux/arm/v6'],
    ['linux/arm/v6', ['linux/arm', 'linux/arm/v5'], 'linux/arm/v5'],
    ['linux/arm64', arm64, 'linux/arm64'],
    ['linux/arm64/v8.4', arm64, 'linux/arm64/v8.2'],
    ['linux/arm64/v9', arm64, 'linux/arm64/v9'],
    ['linux/arm64/v9.1', ['linux/arm64/v8.6', 'linux/arm64/v8.7'], 'linux/arm64/v8.6'],
    ['linux/arm64', ['linux/arm/v7', 'linux/arm/v6'], 'linux/arm/v7'],
    ['linux/ppc64le', ['linux/ppc64le/power9'], 'linux/ppc64le/power9'],
    ['linux/ppc64le/power8', ['linux/ppc64le/power9', 'linux/ppc64le'], 'linux/ppc64le'],
    ['windows/amd64', amd64, undefined],
    ['linux/s390x', amd64, undefined],
  ];
  for (const [wanted, offers, chosen] of cases)
    t.equal(best(wanted, ...offers), chosen, `${wanted} of ${offers}`);
});

t.test('what a processor can is told by its flags', async (t) => {
  const v2 = 'fpu cx16 lahf_lm popcnt pni sse4_1 sse4_2 ssse3';
  const v3 = `${v2} avx avx2 bmi1 bmi2 f16c fma abm movbe xsave`;
  const v4 = `${v3} avx512f avx512bw avx512cd avx512dq avx512vl`;
  const variant = (flags: string): string | undefined =>
    processorVariant('amd64', `processor\t: 0\nflags\t\t: ${flags}\nbugs\t\t: avx2\n`);
  t.equal(variant('fpu sse2'), undefined);
  t.equal(variant(v2), 'v2');
  t.equal(variant(v3), 'v3');
  t.equal(variant(v4), 'v4');
  t.equal(variant(v4.replace('movbe', '')), 'v2', 'a level needs all below it');
  t.equal(processorVariant('amd64', ''), undefined);
  t.equal(processorVariant('arm', 'CPU architecture: 6\n'), 'v6');
  t.equal(processorVariant('arm', 'CPU architecture: 7M\n'), 'v7');
  t.equal(processorVariant('riscv64', v4), undefined);
});

t.test('null, nothing and empty mean the same in configurations, manifests and indexes', async (t) => {
  const lists = ['Env', 'Entrypoint', 'Cmd', 'OnBuild', 'Shell'];
  const maps = ['Labels', 'Volumes', 'ExposedPorts'];
  const nulls = Object.fromEntries(
    [...lists, ...maps, 'User', 'WorkingDir', 'StopSignal'].map((key) => [key, null]),
  );
  const plain = { architecture: 'amd64', os: 'linux', rootfs: { type: 'layers', diff_ids: [] } };
  const forms = [
    { ...plain, config: {} },
    {
      ...plain,
      config: nulls,
      history: null,
      created: null,
      author: null,
      variant: null,
      rootfs: { diff_ids: null },
    },
    {
      ...plain,
      config: {},
      history: [],
      created: '',
      author: '',
      variant: '',
      rootfs: { type: '', diff_ids: [] },
    },
  ];
  for (const form of forms) t.strictSame(parseConfig(json(form), 'c', 0), { ...plain, config: {} });
  t.strictSame(parseConfig(json({ ...plain, config: null }), 'c', 0), plain);
  for (const missing of [
    {},
    { architecture: null, os: null, variant: null },
    { architecture: '', os: '', variant: '' },
  ]) {
    const document = json({ ...missing, rootfs: plain.rootfs });
    const stated = parsePlatform('linux/arm/v6');
    t.match(parseConfig(document, 'c', 0, stated), stated, 'the index says it');
    t.equal(
      platformName(configPlatform(document, 'c')),
      platformName(configPlatform(json({}), 'c')),
      'or the machine',
    );
  }
  const manifest = {
    schemaVersion: 2,
    mediaType: null,
    config: { ...descriptor, mediaType: null, annotations: null, urls: null },
  };
  for (const layers of [{}, { layers: null }, { layers: [] }])
    t.match(parseManifest(json({ ...manifest, annotations: null, ...layers }), 'm'), {
      layers: [],
      config: descriptor,
    });
  for (const manifests of [{}, { manifests: null }, { manifests: [] }])
    t.strictSame(parseIndex(json({ schemaVersion: 2, ...manifests }), 'i').manifests, []);
  const half = { ...descriptor, platform: { os: 'linux', architecture: '' } };
  for (const platform of [null, {}, half.platform]) {
    const [offer] = parseIndex(
      json({ schemaVersion: 2, manifests: [{ ...descriptor, platform }] }),
      'i',
    ).manifests;
    t.equal(offer.platform, undefined, 'a platform that is not whole is none');
  }
  t.ok(
    parseConfig(Buffer.from(`\uFEFF${JSON.stringify(plain)}`), 'c', 0),
    'a byte order mark is passed over',
  );
  t.strictSame(
    parseConfig(json({ ...plain, config: { Cmd: 'sh' } }), 'c', 0).config,
    { Cmd: ['sh'] },
    'as Docker has it',
  );
});

t.test('values of a kind that cannot be meant are refused with their place', async (t) => {
  const plain = { architecture: 'amd64', os: 'linux', rootfs: { type: 'layers', diff_ids: [] } };
  const bad: [config: object, message: RegExp][] = [
    [{ ...plain, config: { Env: { A: 'b' } } }, /config.Env is no list of texts/],
    [{ ...plain, config: { Cmd: [1] } }, /config.Cmd is no list of texts/],
    [{ ...plain, config: { Labels: ['a'] } }, /config.Labels is no object/],
    [{ ...plain, config: { User: 1000 } }, /config.User is no text/],
    [{ ...plain, config: [] }, /config is no object/],
    [{ ...plain, os: 1 }, /os is no text/],
    [{ ...plain, history: {} }, /history is no list/],
    [{ ...plain, history: [null] }, /entry of its history/],
    [{ architecture: 'amd64', os: 'linux', rootfs: null }, /rootfs is missing/],
  ];
  for (const [config, message] of bad) t.throws(() => parseConfig(json(config), 'c', 0), { message });
  const both = json({ schemaVersion: 2, manifests: [descriptor], layers: [descriptor] });
  t.throws(() => documentType(both, undefined, 'd'), { message: /an index and a manifest at once/ });
  const layer = { ...descriptor, mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip+encrypted' };
  t.throws(() => parseManifest(json({ schemaVersion: 2, config: descriptor, layers: [layer] }), 'm'), {
    message: /encrypted/,
  });
  const annotated = { ...descriptor, annotations: { a: 1 } };
  t.throws(() => parseIndex(json({ schemaVersion: 2, manifests: [annotated] }), 'i'), {
    message: /annotations/,
  });
});

t.test('what is no image is told by its configuration or its layers', async (t) => {
  const kind = (config: string, layer?: string, artifactType?: string): string | undefined =>
    artifactKind({
      schemaVersion: 2,
      config: {
        ...parseManifest(json({ schemaVersion: 2, config: descriptor }), 'm').config,
        mediaType: config,
      },
      layers:
        layer === undefined
          ? []
          : parseManifest(
              json({ schemaVersion: 2, config: descriptor, layers: [{ ...descriptor, mediaType: layer }] }),
              'm',
            ).layers,
      artifactType,
    });
  const oci = 'application/vnd.oci.image.config.v1+json';
  const tar = 'application/vnd.oci.image.layer.v1.tar';
  for (const layer of [
    tar,
    `${tar}+gzip`,
    `${tar}+zstd`,
    'application/vnd.docker.image.rootfs.diff.tar.gzip',
    '',
    'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip',
  ])
    t.equal(kind(oci, layer), undefined, layer);
  t.equal(kind('application/vnd.docker.container.image.v1+json', `${tar}+gzip`), undefined);
  t.equal(kind(oci, tar, 'application/vnd.example'), undefined, 'an image may call itself something');
  t.match(kind(oci, 'application/vnd.dev.cosign.simplesigning.v1+json'), /cosign/);
  t.match(kind(oci, 'application/vnd.in-toto+json'), /in-toto/);
  t.match(
    kind('application/vnd.cncf.helm.config.v1+json', 'application/vnd.cncf.helm.chart.content.v1.tar+gzip'),
    /helm/,
  );
  t.match(
    kind('application/vnd.oci.empty.v1+json', 'application/spdx+json', 'application/spdx+json'),
    /spdx/,
  );
});
