// SPDX-License-Identifier: MIT
/** Names, digests and platforms of images. */
import t from 'tap';
import { chainIds, digestOf, isDigest, parseDigest } from '../../../lib/image/model/digest.js';
import { parseConfig } from '../../../lib/image/model/image-config.js';
import { documentType, parseIndex, parseManifest } from '../../../lib/image/model/manifest.js';
import { familiarName, fullName, parseReference, parseRegistry } from '../../../lib/image/model/reference.js';

const HEX = 'a'.repeat(64);

t.test('a name is completed as Docker does it, and shown as people write it', async (t) => {
  const cases: [given: string, full: string, familiar: string][] = [
    ['nginx', 'docker.io/library/nginx:latest', 'nginx:latest'],
    ['nginx:1.27', 'docker.io/library/nginx:1.27', 'nginx:1.27'],
    ['team/app', 'docker.io/team/app:latest', 'team/app:latest'],
    ['docker.io/nginx', 'docker.io/library/nginx:latest', 'nginx:latest'],
    ['index.docker.io/library/nginx', 'docker.io/library/nginx:latest', 'nginx:latest'],
    ['index.docker.io/nginx', 'docker.io/library/nginx:latest', 'nginx:latest'],
    ['docker.io/team/app:1', 'docker.io/team/app:1', 'team/app:1'],
    ['localhost/app', 'localhost/app:latest', 'localhost/app:latest'],
    ['Registry/app', 'Registry/app:latest', 'Registry/app:latest'],
    [`a:${'t'.repeat(128)}`, `docker.io/library/a:${'t'.repeat(128)}`, `a:${'t'.repeat(128)}`],
    ['[2001:DB8::1]/a', '[2001:DB8::1]/a:latest', '[2001:DB8::1]/a:latest'],
    ['localhost:5000/app', 'localhost:5000/app:latest', 'localhost:5000/app:latest'],
    ['[::1]:5000/app:x', '[::1]:5000/app:x', '[::1]:5000/app:x'],
    ['quay.io/a/b/c:v1.0-rc_1', 'quay.io/a/b/c:v1.0-rc_1', 'quay.io/a/b/c:v1.0-rc_1'],
    [`app@sha256:${HEX}`, `docker.io/library/app@sha256:${HEX}`, `app@sha256:${HEX}`],
    [`a/b:1@sha256:${HEX}`, `docker.io/a/b:1@sha256:${HEX}`, `a/b:1@sha256:${HEX}`],
    ['a__b/c-d---e.f', 'docker.io/a__b/c-d---e.f:latest', 'a__b/c-d---e.f:latest'],
  ];
  for (const [given, full, familiar] of cases) {
    const reference = parseReference(given);
    t.equal(fullName(reference), full, given);
    t.equal(familiarName(reference), familiar, given);
    t.strictSame(parseReference(full), reference, `${full} is read back`);
  }
});

t.test('what is no name is refused with the reason', async (t) => {
  const cases: [given: string, reason: RegExp][] = [
    ['', /empty \(at character 1\)/],
    ['Nginx', /must be lower case \(at character 1\)/],
    ['team/nGinx', /must be lower case \(at character 7\)/],
    ['a:', /"" is no tag \(at character 3\)/],
    ['a:.b', /".b" is no tag \(at character 3\)/],
    ['a:b:c', /"a:b" cannot be part of it \(at character 2\)/],
    [`a:${'x'.repeat(129)}`, /no tag \(at character 131\)/],
    ['a/../b', /".." cannot be part of it \(at character 3\)/],
    ['a//b', /"" cannot be part of it \(at character 3\)/],
    ['/a', /"" cannot be part of it \(at character 1\)/],
    ['docker.io/', /"" cannot be part of it \(at character 11\)/],
    ['-a', /cannot be part of it \(at character 1\)/],
    ['ab-', /cannot be part of it \(at character 3\)/],
    ['a___b', /cannot be part of it \(at character 2\)/],
    ['ä', /cannot be part of it \(at character 1\)/],
    ['a@sha256:12', /no digest.* \(at character 12\)/],
    [`a@sha256:${HEX}0`, /no digest.* \(at character 74\)/],
    [`a@sha256:${HEX.toUpperCase()}`, /no digest.* \(at character 10\)/],
    [`a@md5:${HEX}`, /no digest of sha256; md5 is not supported \(at character 3\)/],
    ['a@', /no digest.* \(at character 3\)/],
    ['bad_host.com/a', /"bad_host.com" is no registry \(at character 4\)/],
    ['host.com:x/a', /"host.com:x" is no registry \(at character 9\)/],
    ['host.com:70000/a', /"host.com:70000" is no registry/],
    ['300.1.1.1/a', /"300.1.1.1" is no registry/],
    ['[::1/a', /is no registry \(at character 1\)/],
    ['[1:2:3]/a', /"\[1:2:3\]" is no registry/],
    [`${'a/'.repeat(130)}a`, /too long: 255 characters/],
    ['a b', /cannot be part of it \(at character 2\)/],
    [HEX, /64 hexadecimal digits are an id/],
  ];
  for (const [given, reason] of cases) t.throws(() => parseReference(given), { message: reason }, given);
});

t.test('a registry is named by its host alone', async (t) => {
  t.equal(parseRegistry('index.docker.io'), 'docker.io');
  for (const host of ['localhost', '[::1]:5000', 'Quay.IO', '10.0.0.1:80'])
    t.equal(parseRegistry(host), host);
  for (const bad of ['', 'http://quay.io', 'quay.io/', 'a b', '300.1.1.1', 'quay.io:70000', '::1'])
    t.throws(() => parseRegistry(bad), { message: /is no registry/ }, bad);
});

t.test('a digest is sha256 and nothing else', async (t) => {
  t.ok(isDigest(`sha256:${HEX}`));
  for (const bad of [
    `sha256:${HEX.toUpperCase()}`,
    `sha256:${HEX}a`,
    `sha512:${'a'.repeat(128)}`,
    HEX,
    '',
    7,
    null,
  ]) {
    t.notOk(isDigest(bad), String(bad));
    t.throws(() => parseDigest(bad, 'x'), { message: /digest/ });
  }
  t.equal(digestOf(''), 'sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
});

t.test('chain ids are those of the image specification', async (t) => {
  const [a, b] = [digestOf('a'), digestOf('b')];
  t.strictSame(chainIds([a, b]), [a, digestOf(`${a} ${b}`)]);
  t.strictSame(chainIds([]), []);
});

t.test('documents are checked for what is used of them', async (t) => {
  const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));
  const descriptor = { mediaType: 'x', digest: `sha256:${HEX}`, size: 3 };
  t.ok(parseManifest(json({ schemaVersion: 2, config: descriptor, layers: [descriptor] }), 'm'));
  const bad: [document: unknown, reason: RegExp][] = [
    [[], /no JSON object/],
    [{ schemaVersion: 1 }, /schema 2/],
    [{ schemaVersion: 2, layers: [] }, /descriptor/],
    [{ schemaVersion: 2, config: { ...descriptor, size: -1 }, layers: [] }, /size/],
    [{ schemaVersion: 2, config: { ...descriptor, digest: '../x' }, layers: [] }, /digest/],
    [{ schemaVersion: 2, config: descriptor, layers: {} }, /list/],
    [{ schemaVersion: 2, config: descriptor, layers: Array(501).fill(descriptor) }, /501 layers/],
  ];
  for (const [document, reason] of bad)
    t.throws(() => parseManifest(json(document), 'm'), { message: reason });
  t.throws(() => parseManifest(Buffer.from('{"a'), 'm'), { message: /not JSON/ });
  t.throws(() => parseIndex(json({ schemaVersion: 2, manifests: {} }), 'i'), { message: /no list/ });
  t.throws(() => documentType(json({ schemaVersion: 1 }), undefined, 'd'), { message: /schema 1/ });
  const config = {
    architecture: 'amd64',
    os: 'linux',
    rootfs: { type: 'layers', diff_ids: [`sha256:${HEX}`] },
  };
  t.ok(parseConfig(json(config), 'c', 1));
  t.throws(() => parseConfig(json(config), 'c', 2), { message: /names 1 layers, the manifest 2/ });
  t.throws(() => parseConfig(json({ ...config, rootfs: {} }), 'c', 1), { message: /diff_ids/ });
});
