// SPDX-License-Identifier: MIT
/** Mirrors that have a part of an image, or another thing, or trouble: the next one is asked. */
import t from 'tap';
import { fail, INDEX, type Odd, OddRegistry, send } from '../../support/odd-registry.js';
import { transfers } from '../../support/transfers.js';

const REPOSITORY = 'library/x';

/** An image behind an index of one platform, and what the index leads to. */
function publish(registry: OddRegistry, architecture = process.arch === 'x64' ? 'amd64' : process.arch) {
  const { digest, size, mediaType } = registry.image(REPOSITORY, 'plain');
  const { config, layers } = JSON.parse(registry.manifests.get(`${REPOSITORY}@${digest}`)!.bytes.toString());
  const manifests = [{ mediaType, digest, size, platform: { os: 'linux', architecture } }];
  registry.manifest(REPOSITORY, { schemaVersion: 2, mediaType: INDEX, manifests }, '1');
  return { manifest: digest, config: config.digest as string, layer: layers[0].digest as string };
}

t.test('what a mirror lacks, or answers wrongly, the next one has', async (t) => {
  type Parts = ReturnType<typeof publish>;
  const lacks: Record<string, (mirror: OddRegistry, parts: Parts) => unknown> = {
    'the index': (mirror) => mirror.manifests.clear(),
    'the manifest': (mirror, { manifest }) => mirror.manifests.delete(`${REPOSITORY}@${manifest}`),
    'the configuration': (mirror, { config }) => mirror.blobs.delete(config),
    'the layer': (mirror, { layer }) => mirror.blobs.delete(layer),
    'the processor': (mirror) => publish(mirror, 'vax'),
    'a sound layer': (mirror, { layer }) => mirror.blobs.set(layer, Buffer.from('damaged')),
    'a sound configuration': (mirror, { config }) => mirror.blobs.set(config, Buffer.from('{}')),
  };
  for (const [label, take] of Object.entries(lacks)) {
    const mirror = await OddRegistry.start(t);
    take(mirror, publish(mirror));
    const next = await OddRegistry.start(t);
    publish(next);
    const ours = transfers(t);
    await t.resolves(ours.pull('x:1', [`http://${mirror.host}`, `http://${next.host}`]), label);
    t.match(ours.told.join('\n'), new RegExp(`mirror ${mirror.host} (failed: |does not have it)`), label);
  }
});

t.test('a mirror that answers with nothing of use gives way to the next', async (t) => {
  const answers: Record<string, Odd> = {
    'an error page': (_asked, response) => send(response, 200, '<html>', { 'content-type': 'text/html' }),
    'a login': (_asked, response) => send(response, 401, '', { 'www-authenticate': 'Basic realm="x"' }),
    'a refusal': (_asked, response) => fail(response, 403, 'DENIED', 'no'),
    'a bad gateway that asks for patience': (_asked, response) =>
      send(response, 502, '', { 'retry-after': '1000' }),
    'a redirect to nowhere': (_asked, response) => send(response, 302, '', { location: 'http://' }),
  };
  for (const [label, answer] of Object.entries(answers)) {
    const mirror = await OddRegistry.start(t, answer);
    const next = await OddRegistry.start(t);
    publish(next);
    await t.resolves(transfers(t).pull('x:1', [`http://${mirror.host}`, `http://${next.host}`]), label);
  }
});

t.test('a mirror may lie under a path', async (t) => {
  const behind = await OddRegistry.start(t);
  publish(behind);
  const mirror = await OddRegistry.start(t, ({ url }, response) =>
    url.startsWith('/hub/v2/')
      ? send(response, 307, '', { location: `http://${behind.host}${url.slice(4)}` })
      : send(response, 404),
  );
  await t.resolves(transfers(t).pull('x:1', [`http://${mirror.host}/hub/`]));
  t.ok(mirror.seen.length >= 4);
});
