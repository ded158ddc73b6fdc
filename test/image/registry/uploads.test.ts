// SPDX-License-Identifier: MIT
/** Pushes: to the place that a registry names for them, in spite of all that can go wrong there. */
import { truncateSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import t, { type Test } from 'tap';
import { parseDigest } from '../../../lib/image/model/digest.js';
import {
  type Asked,
  fail,
  type Odd,
  type OddOptions,
  OddRegistry,
  send,
} from '../../support/odd-registry.js';
import { layersOf, type Transfers, transfers } from '../../support/transfers.js';

interface Ground {
  ours: Transfers;
  registry: OddRegistry;
  /** Lies in the store, and is of `registry`. */
  target: string;
}

/** An image in the store that is to be pushed to a registry that behaves as told. */
async function prepare(t: Test, behave?: Odd, options?: OddOptions): Promise<Ground> {
  const source = await OddRegistry.start(t);
  source.image('app', '1');
  const registry = await OddRegistry.start(t, behave, options);
  const ours = transfers(t);
  const target = `${registry.host}/new:1`;
  await ours.pull(`${source.host}/app:1`);
  await ours.tag(`${source.host}/app:1`, target);
  return { ours, registry, target };
}

const begins = ({ method, url }: Asked): boolean => method === 'POST' && url.endsWith('/blobs/uploads/');

/** How often something was asked, and that the image is there whole. */
async function pushes(t: Test, { ours, registry, target }: Ground, label: string): Promise<void> {
  await t.resolves(ours.push(target), label);
  t.ok(registry.manifests.has('new:1'), label);
  t.equal(registry.blobs.size, 2, label);
}

t.test('an upload goes to the place that is named, from where the answer came', async (t) => {
  const names: Record<string, (path: string, host: string) => string> = {
    'an absolute path': (path) => `${path}?_state=a%2Bb`,
    'a host and a path': (path, host) => `//${host}${path}`,
    'a whole URL': (path, host) => `http://${host}${path}`,
    'a name alone': (path) => path.replace(/.*\//, ''),
    'a path that goes up': (path) => path.replace(/.*\//, '../uploads/'),
    'a query alone': (path) => path.replace(/.*\//, '?upload='),
  };
  for (const [label, place] of Object.entries(names)) {
    const ground = await prepare(t);
    ground.registry.place = (path) => place(path, ground.registry.host);
    await pushes(t, ground, label);
  }
});

t.test('the query of a place stays as it is: it may be signed', async (t) => {
  const ground = await prepare(t);
  ground.registry.place = (path) => `${path}?_state=a%2Bb%20c~&sig=x+y==`;
  await pushes(t, ground, 'signed');
  const places = ground.registry.seen.filter(({ method }) => method === 'PUT').map(({ url }) => url);
  t.match(places[0], /\/uploads\/\d+\?_state=a%2Bb%20c~&sig=x\+y==&digest=sha256%3A[0-9a-f]{64}$/);
});

t.test('a place after a redirect is of the host that gave it', async (t) => {
  const behind = await OddRegistry.start(t);
  const front = await prepare(t, (asked, response, pass) =>
    begins(asked) ? send(response, 307, '', { location: `http://${behind.host}${asked.url}` }) : pass(),
  );
  await front.ours.push(front.target);
  t.equal(behind.blobs.size, 2);
  t.equal(front.registry.seen.filter(({ url }) => /\/uploads\/\d/.test(url)).length, 0);
});

t.test('a place that is none is said, with the registry', async (t) => {
  for (const location of ['ftp://elsewhere/x', 'http://', undefined]) {
    const ground = await prepare(t, (asked, response, pass) =>
      begins(asked) ? send(response, 202, '', location === undefined ? {} : { location }) : pass(),
    );
    await t.rejects(ground.ours.push(ground.target), {
      message: new RegExp(`^ask registry ${ground.registry.host}: it names .* place`),
    });
  }
});

/** Takes the first upload's bytes away with `act`, half received. */
function once(act: (message: IncomingMessage, response: ServerResponse) => void): OddOptions {
  let done = false;
  return {
    early(message, response) {
      if (done || message.method !== 'PUT') return false;
      done = true;
      message.once('data', () => act(message, response));
      return true;
    },
  };
}

t.test('an upload that breaks off begins anew', async (t) => {
  const ground = await prepare(
    t,
    undefined,
    once(({ socket }) => socket.destroy()),
  );
  await pushes(t, ground, 'broken connection');
  t.equal(ground.registry.seen.filter(begins).length, 3, 'the place of the first is not used again');
});

t.test('an upload that the registry has forgotten, or has trouble with, begins anew', async (t) => {
  for (const [status, code] of [
    [404, 'BLOB_UPLOAD_UNKNOWN'],
    [416, 'RANGE_INVALID'],
    [500, 'UNKNOWN'],
    [503, 'UNAVAILABLE'],
    [429, 'TOOMANYREQUESTS'],
  ] as const) {
    let refusals = 0;
    const ground = await prepare(t, ({ method }, response, pass) =>
      method === 'PUT' && refusals++ === 0 ? fail(response, status, code, 'not now') : pass(),
    );
    await pushes(t, ground, code);
    t.equal(ground.registry.seen.filter(begins).length, 3, code);
  }
});

t.test('an upload whose answer alone was lost is not sent again', async (t) => {
  let losses = 0;
  const ground = await prepare(t, ({ method, body }, response, pass) => {
    if (method !== 'PUT' || losses++ > 0) return pass();
    ground.registry.blob(body, 'x');
    response.destroy();
  });
  await pushes(t, ground, 'lost answer');
  const sent = ground.registry.seen.filter(({ method, url }) => method === 'PUT' && url.includes('digest='));
  t.equal(sent.length, 2);
});

t.test('what a registry does not take it is not offered again and again', async (t) => {
  const ground = await prepare(t, ({ method }, response, pass) =>
    method === 'PUT' ? fail(response, 413, 'SIZE_INVALID', 'the quota of new is used up') : pass(),
  );
  await t.rejects(ground.ours.push(ground.target), {
    message: /it failed \(413 SIZE_INVALID: the quota of new is used up\)/,
  });
  t.equal(ground.registry.seen.filter(({ method }) => method === 'PUT').length, 1);
});

t.test('a blob that cannot be mounted is uploaded', async (t) => {
  const answers: Record<string, Odd> = {
    ...Object.fromEntries(
      [400, 403, 404, 405, 500].map((status) => [
        String(status),
        (_asked, response) => fail(response, status, 'DENIED', 'no'),
      ]),
    ),
    401: (_asked, response) => send(response, 401, '', { 'www-authenticate': 'Basic realm="x"' }),
    'a lost connection': (_asked, response) => response.destroy(),
    '202 without a place': (_asked, response) => send(response, 202),
    '202 with a place': ({ url }, response) =>
      send(response, 202, '', { location: url.replace(/\?.*/, '').replace(/$/, '999') }),
  };
  for (const [label, answer] of Object.entries(answers)) {
    const held = new Set<string>();
    const behave: Odd = (asked, response, pass) => {
      const { method, url } = asked;
      if (url.includes('mount=')) return answer(asked, response, pass);
      if (method === 'PUT') held.add(new URL(url, 'http://x').searchParams.get('digest') ?? '');
      const blob = /new\/blobs\/(sha256:.*)/.exec(url)?.[1];
      return blob === undefined || held.has(blob) ? pass() : fail(response, 404, 'BLOB_UNKNOWN', 'unknown');
    };
    const registry = await OddRegistry.start(t, behave);
    registry.image('old', '1');
    const ours = transfers(t);
    const target = `${registry.host}/new:1`;
    await ours.pull(`${registry.host}/old:1`);
    await ours.tag(`${registry.host}/old:1`, target);
    await pushes(t, { ours, registry, target }, label);
    t.equal(held.size, 3, `${label}: two blobs are sent, and a manifest`);
    t.equal(registry.seen.filter(({ url }) => url.includes('mount=')).length, 2, `${label}: asked once each`);
  }
});

t.test('an upload that a registry begins instead of a mount is gone on with, or given up', async (t) => {
  const registry = await OddRegistry.start(t, ({ method, url }, response, pass) => {
    if (method === 'DELETE') return fail(response, 405, 'UNSUPPORTED', 'no');
    if (method === 'HEAD') return fail(response, 404, 'BLOB_UNKNOWN', 'unknown');
    if (!url.includes('mount=')) return pass();
    return send(response, 202, '', { location: '/v2/new/blobs/uploads/nowhere' });
  });
  registry.image('old', '1');
  const ours = transfers(t);
  const names = ['old', 'older', 'new'].map((name) => `${registry.host}/${name}:1`);
  await ours.pull(names[0]);
  for (const name of names.slice(1)) await ours.tag(names[0], name);
  await pushes(t, { ours, registry, target: names[2] }, 'two sources');
  const seen = registry.seen.map(({ method, url }) => `${method} ${url.replace(/\?.*/, '')}`);
  t.equal(seen.filter((line) => line === 'DELETE /v2/new/blobs/uploads/nowhere').length, 2);
  t.equal(seen.filter((line) => line === 'PUT /v2/new/blobs/uploads/nowhere').length, 2);
});

t.test('a layer that is not to be distributed stays where its address says', async (t) => {
  const source = await OddRegistry.start(t, ({ url }, response, pass) =>
    url === '/elsewhere' ? send(response, 200, foreign) : pass(),
  );
  source.image('app', '1');
  const named = source.manifests.get('app:1')!;
  const manifest = JSON.parse(named.bytes.toString());
  const [layer] = manifest.layers;
  const foreign = source.blobs.get(layer.digest)!;
  layer.mediaType = 'application/vnd.oci.image.layer.nondistributable.v1.tar+gzip';
  layer.urls = [`http://${source.host}/elsewhere`];
  source.manifest('app', manifest, '1');
  source.blobs.delete(layer.digest);
  const registry = await OddRegistry.start(t);
  const ours = transfers(t);
  await ours.pull(`${source.host}/app:1`);
  await ours.tag(`${source.host}/app:1`, `${registry.host}/new:1`);
  await ours.push(`${registry.host}/new:1`);
  t.ok(ours.told.includes('Skipped foreign layer'));
  t.strictSame([...registry.blobs.keys()], [manifest.config.digest]);
});

t.test('a layer of which the store has lost a part is not sent', async (t) => {
  const { ours, target, registry } = await prepare(t);
  const [layer] = layersOf(ours, target);
  truncateSync(ours.store.blobPath(parseDigest(layer, 'test')), 10);
  await t.rejects(ours.push(target), {
    message: /the store has lost the layer .*, or a part of it; run `tsoverlay system check`/,
  });
  t.equal(registry.manifests.size, 0);
});
