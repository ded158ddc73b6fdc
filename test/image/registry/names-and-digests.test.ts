// SPDX-License-Identifier: MIT
/** Digests beside tags: which image a name stands for, and which digests an image is known by. */
import t, { type Test } from 'tap';
import { familiarName, parseName } from '../../../lib/image/model/reference.js';
import { findImage, listImages } from '../../../lib/image/store/images.js';
import { scratch } from '../../support/ground.js';
import { storeCli } from '../../support/images.js';
import { INDEX, OddRegistry } from '../../support/odd-registry.js';
import { type Transfers, transfers } from '../../support/transfers.js';

/** Two images of a repository, and one of them in another, too. */
async function prepare(t: Test) {
  const registry = await OddRegistry.start(t);
  const one = registry.image('a', '1', { which: 'one' }).digest;
  const two = registry.image('a', '2', { which: 'two' }).digest;
  registry.image('b', '1', { which: 'one' });
  return { registry, one, two, a: `${registry.host}/a`, b: `${registry.host}/b` };
}

/** Digest of the manifest, names and digests of each image. */
function shown({ store }: Transfers): Record<string, string[]> {
  return Object.fromEntries(
    listImages(store).map(({ manifestDigest, names, repositoryDigests }) => [
      manifestDigest,
      [...names, ...repositoryDigests].map((name) => familiarName(parseName(name))).sort(),
    ]),
  );
}

t.test('a name with tag and digest is pulled by digest, and moves no tag', async (t) => {
  const { one, two, a } = await prepare(t);
  const ours = transfers(t);
  await ours.pull(`${a}:2`);
  await ours.pull(`${a}:2@${one}`);
  await ours.pull(`${a}:9@${one}`);
  t.strictSame(shown(ours), { [two]: [`${a}:2`, `${a}@${two}`].sort(), [one]: [`${a}@${one}`] });
  t.equal(findImage(ours.store, `${a}:2`).image.manifestDigest, two);
  t.equal(findImage(ours.store, `${a}:2@${one}`).image.manifestDigest, one);
});

t.test('an image keeps the digest of each repository that it was pulled from', async (t) => {
  const { one, a, b } = await prepare(t);
  const ours = transfers(t);
  await ours.pull(`${a}:1`);
  await ours.pull(`${b}@${one}`);
  await ours.pull(`${b}@${one}`);
  t.strictSame(shown(ours), { [one]: [`${a}:1`, `${a}@${one}`, `${b}@${one}`].sort() });
  await ours.pull(`${b}:1`);
  await ours.tag(`${a}:1`, 'mine');
  t.strictSame(shown(ours)[one], [`${a}:1`, `${a}@${one}`, `${b}:1`, `${b}@${one}`, 'mine:latest'].sort());
  for (const name of [`${a}@${one}`, `${b}@${one}`, `mine@${one}`, `${a}:9@${one}`, one, one.slice(7, 20)])
    t.equal(findImage(ours.store, name).image.manifestDigest, one, name);
  t.throws(() => findImage(ours.store, `c@${one}`), { message: /no such image/ });
});

t.test('an image is found by the digest of the index that it came from', async (t) => {
  const { registry, one, a } = await prepare(t);
  const platform = { os: 'linux', architecture: process.arch === 'x64' ? 'amd64' : process.arch };
  const { type, bytes } = registry.manifests.get('a:1')!;
  const manifests = [{ mediaType: type, digest: one, size: bytes.length, platform }];
  const index = registry.manifest('a', { schemaVersion: 2, mediaType: INDEX, manifests }, 'index');
  const ours = transfers(t);
  await ours.pull(`${a}:index`);
  for (const name of [index.digest, index.digest.slice(7), `${a}@${index.digest}`, `${a}@${one}`])
    t.equal(findImage(ours.store, name).image.manifestDigest, one, name);
});

t.test('a tag that moves leaves the image behind with its digest', async (t) => {
  const { registry, one, two, a } = await prepare(t);
  const ours = transfers(t);
  await ours.pull(`${a}:1`);
  await ours.tag(`${a}:1`, 'mine');
  registry.manifests.set('a:1', registry.manifests.get('a:2')!);
  await ours.pull(`${a}:1`);
  t.strictSame(shown(ours), {
    [one]: [`${a}@${one}`, 'mine:latest'].sort(),
    [two]: [`${a}:1`, `${a}@${two}`].sort(),
  });
});

t.test('names and digests are shown and taken away one by one', async (t) => {
  const { one, a, b } = await prepare(t);
  const cli = storeCli(t, scratch(t));
  const rows = async (): Promise<string[]> =>
    (await cli.ok('images', '--format', '{{.Repository}}:{{.Tag}}')).trim().split('\n').sort();
  await cli.ok('pull', '-q', `${a}:9@${one}`);
  t.strictSame(await rows(), [`${a}:<none>`]);
  await cli.ok('pull', '-q', `${a}:1`);
  await cli.ok('pull', '-q', `${b}@${one}`);
  await cli.ok('tag', `${a}:1`, 'mine');
  t.strictSame(await rows(), [`${a}:1`, `${b}:<none>`, 'mine:latest'].sort());
  t.equal(await cli.ok('rmi', `${a}:1`), `Untagged: ${a}:1\n`);
  t.strictSame(await rows(), [`${b}:<none>`, 'mine:latest'].sort());
  t.equal(await cli.ok('rmi', 'mine'), 'Untagged: mine:latest\n');
  t.strictSame(await rows(), [`${b}:<none>`], 'the last name is gone, the digest is a reference still');
  t.match(await cli.ok('rmi', `${b}@${one}`), /^Untagged: .*@sha256:.*\nDeleted: sha256:/);
  t.equal(await cli.ok('images', '-q'), '');
});

t.test('what can be neither pushed to nor given as a tag is said', async (t) => {
  const { one, a } = await prepare(t);
  const ours = transfers(t);
  await ours.pull(`${a}@${one}`);
  await t.rejects(ours.push(`${a}@${one}`), { message: /a digest cannot be pushed to/ });
  await t.rejects(ours.push(one), { message: /an id says nothing of where to push it/ });
  await t.rejects(ours.tag(`${a}@${one}`, `x@${one}`), { message: /a name with a digest/ });
});

t.test('a registry is pulled from and pushed to by its IPv6 address', async (t) => {
  const registry = await OddRegistry.start(t, undefined, { address: '::1' });
  registry.image('a', '1');
  const ours = transfers(t);
  await ours.pull(`${registry.host}/a:1`);
  await ours.tag(`${registry.host}/a:1`, `${registry.host}/new:1`);
  await ours.push(`${registry.host}/new:1`);
  t.match(registry.host, /^\[::1\]:\d+$/);
  t.ok(registry.manifests.has('new:1'));
});
