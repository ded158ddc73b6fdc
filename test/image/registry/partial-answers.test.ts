// SPDX-License-Identifier: MIT
/** Answers that break off, come in other parts than were asked for, compressed unasked, late, or from elsewhere. */
import { randomBytes } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';
import t, { type Test } from 'tap';
import { retryAfter } from '../../../lib/image/registry/retrying.js';
import { type Asked, fail, INDEX, type Odd, OddRegistry, send } from '../../support/odd-registry.js';
import { layersOf, transfers } from '../../support/transfers.js';

/** Breaks off after so many bytes of an answer that says how many it has. */
function cut(response: ServerResponse, bytes: Buffer, after: number): void {
  response.writeHead(200, { 'content-length': String(bytes.length) });
  response.write(bytes.subarray(0, after), () => response.socket?.destroy());
  if (after === 0) response.flushHeaders();
}

/** Ends without having said how long it would be, which looks like the end. */
function stopShort({ socket }: ServerResponse, bytes: Buffer, after: number): void {
  socket?.write('HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n');
  socket?.end(bytes.subarray(0, after));
}

/** An image behind an index, and what a request for each of its documents looks like. */
function publish(registry: OddRegistry, files: Record<string, string> = { file: 'x' }) {
  const manifest = registry.image('app', 'plain', files);
  const { config, layers } = JSON.parse(registry.manifests.get('app:plain')!.bytes.toString());
  const architecture = process.arch === 'x64' ? 'amd64' : process.arch;
  const entry = { ...manifest, platform: { os: 'linux', architecture } };
  registry.manifest('app', { schemaVersion: 2, mediaType: INDEX, manifests: [entry] }, '1');
  return {
    index: { path: '/v2/app/manifests/1', bytes: registry.manifests.get('app:1')!.bytes },
    manifest: {
      path: `/v2/app/manifests/${manifest.digest}`,
      bytes: registry.manifests.get('app:plain')!.bytes,
    },
    config: { path: `/v2/app/blobs/${config.digest}`, bytes: registry.blobs.get(config.digest)! },
    layer: { path: `/v2/app/blobs/${layers[0].digest}`, bytes: registry.blobs.get(layers[0].digest)! },
  };
}

type Published = ReturnType<typeof publish>;

/** Pulls an image of which one part is answered oddly. */
async function pullOdd(
  t: Test,
  part: keyof Published,
  answer: (asked: Asked, response: ServerResponse, bytes: Buffer, time: number) => unknown,
  files?: Record<string, string>,
) {
  let published: Published | undefined;
  let times = 0;
  const registry = await OddRegistry.start(t, async (asked, response, pass) => {
    if (asked.url !== published?.[part].path) return pass();
    if ((await answer(asked, response, published[part].bytes, ++times)) === 'pass') pass();
  });
  published = publish(registry, files);
  const ours = transfers(t);
  return { registry, ours, name: `${registry.host}/app:1`, times: () => times };
}

t.test('a document that breaks off at any byte is asked for again', async (t) => {
  for (const part of ['index', 'manifest', 'config'] as const) {
    for (const after of [0, 1, 40, -1]) {
      const { ours, name, times } = await pullOdd(t, part, (_asked, response, bytes, time) =>
        time === 1 ? cut(response, bytes, after < 0 ? bytes.length - 1 : after) : 'pass',
      );
      await t.resolves(ours.pull(name), `${part} after ${after}`);
      t.equal(times(), 2, `${part} after ${after}`);
    }
  }
});

t.test('a document that is shorter than was announced is asked for again', async (t) => {
  for (const part of ['manifest', 'config'] as const) {
    const { ours, name, times } = await pullOdd(t, part, (_asked, response, bytes, time) =>
      time === 1 ? stopShort(response, bytes, 40) : 'pass',
    );
    await t.resolves(ours.pull(name), part);
    t.equal(times(), 2, part);
  }
});

t.test('a head that breaks off is asked for again', async (t) => {
  const { ours, name } = await pullOdd(t, 'index', (_asked, { socket }, _bytes, time) =>
    time === 1 ? socket?.end('HTTP/1.1 200 OK\r\nContent-Len') : 'pass',
  );
  await t.resolves(ours.pull(name));
});

t.test('a document that always breaks off is given up, with the registry', async (t) => {
  const { ours, name, registry } = await pullOdd(t, 'index', (_asked, response, bytes) =>
    cut(response, bytes, 40),
  );
  const message = new RegExp(`^ask registry ${registry.host}: its answer breaks off .* for app/manifests/1`);
  await t.rejects(ours.pull(name), { message });
});

t.test('a layer that broke off is gone on with, whatever the registry makes of the range', async (t) => {
  const files = { big: randomBytes(200_000).toString('base64') };
  type Rest = (response: ServerResponse, bytes: Buffer, from: number) => unknown;
  const part =
    (start: (from: number) => number, end: (from: number, size: number) => number): Rest =>
    (response, bytes, from) => {
      const [first, behind] = [start(from), end(from, bytes.length)];
      const range = `bytes ${first}-${behind - 1}/${bytes.length}`;
      send(response, 206, bytes.subarray(first, behind), { 'content-range': range });
    };
  const answers: Record<string, Rest> = {
    'as asked': part(
      (from) => from,
      (_from, size) => size,
    ),
    'a piece at a time': part(
      (from) => from,
      (from, size) => Math.min(from + 50_000, size),
    ),
    'from the start': part(
      () => 0,
      (_from, size) => size,
    ),
    'from before': part(
      (from) => from - 100,
      (_from, size) => size,
    ),
    'from after': part(
      (from) => from + 100,
      (_from, size) => size,
    ),
    'the whole, with 200': (response, bytes) => send(response, 200, bytes),
    'not satisfiable': (response) => fail(response, 416, 'RANGE_INVALID', 'no'),
    'without Content-Range': (response, bytes) => send(response, 206, bytes),
    'in several parts': (response, bytes) =>
      send(response, 206, bytes, { 'content-type': 'multipart/byteranges; boundary=x' }),
    'of an unknown place': (response, bytes) => send(response, 206, bytes, { 'content-range': 'bytes */9' }),
  };
  for (const [label, rest] of Object.entries(answers)) {
    const { ours, name } = await pullOdd(
      t,
      'layer',
      ({ headers: { range } }, response, bytes, time) => {
        if (time === 1) return cut(response, bytes, 100_000);
        const from = /^bytes=(\d+)-$/.exec(range ?? '')?.[1];
        return from === undefined ? send(response, 200, bytes) : rest(response, bytes, Number(from));
      },
      files,
    );
    await t.resolves(ours.pull(name), label);
  }
});

t.test('a part that nobody asked for is refused', async (t) => {
  const { ours, name } = await pullOdd(t, 'layer', (_asked, response, bytes) =>
    send(response, 206, bytes.subarray(9), {
      'content-range': `bytes 9-${bytes.length - 1}/${bytes.length}`,
    }),
  );
  await t.rejects(ours.pull(name), { message: /answers with a part of it, though all was asked for/ });
});

t.test('documents are read in any coding, of any type, with or without a digest in the head', async (t) => {
  type Heads = Record<string, string>;
  const forms: Record<string, [body: (bytes: Buffer) => Buffer, headers: Heads]> = {
    gzip: [gzipSync, { 'content-encoding': 'gzip' }],
    'x-gzip': [gzipSync, { 'content-encoding': 'X-Gzip' }],
    deflate: [deflateSync, { 'content-encoding': 'deflate' }],
    br: [brotliCompressSync, { 'content-encoding': 'br' }],
    'gzip over br': [(bytes) => gzipSync(brotliCompressSync(bytes)), { 'content-encoding': 'br, gzip' }],
    'gzip that does not say so': [gzipSync, {}],
    'the word alone': [(bytes) => bytes, { 'content-encoding': 'gzip' }],
    'a type with a parameter': [(bytes) => bytes, { 'content-type': 'application/json; charset=utf-8' }],
    'a wrong type': [(bytes) => bytes, { 'content-type': 'text/html' }],
    'a wrong digest': [(bytes) => bytes, { 'docker-content-digest': `sha256:${'0'.repeat(64)}` }],
  };
  for (const part of ['index', 'manifest', 'config'] as const) {
    for (const [label, [body, headers]] of Object.entries(forms)) {
      const { ours, name } = await pullOdd(t, part, (_asked, response, bytes) =>
        send(response, 200, body(bytes), headers),
      );
      await t.resolves(ours.pull(name), `${part}: ${label}`);
    }
  }
});

t.test('a byte order mark is read over', async (t) => {
  const registry = await OddRegistry.start(t);
  registry.image('app', '1');
  const { type, bytes } = registry.manifests.get('app:1')!;
  const mark = Buffer.from('\ufeff');
  const manifest = JSON.parse(bytes.toString());
  const config = registry.blobs.get(manifest.config.digest)!;
  manifest.config = registry.blob(Buffer.concat([mark, config]), manifest.config.mediaType);
  registry.manifests.set('app:1', {
    type,
    bytes: Buffer.concat([mark, Buffer.from(JSON.stringify(manifest))]),
  });
  const ours = transfers(t);
  await ours.pull(`${registry.host}/app:1`);
  t.equal(layersOf(ours, `${registry.host}/app:1`).length, 1);
});

t.test('a coding that is not known, or holds far too much, is refused', async (t) => {
  const answers: [body: Buffer, coding: string, message: RegExp][] = [
    [Buffer.from('{}'), 'snappy', /its compression \(snappy\) cannot be undone/],
    [Buffer.from([0x1f, 0x8b, 1, 2]), 'gzip', /its compression \(gzip\) cannot be undone/],
    [gzipSync(Buffer.alloc(20 << 20)), 'gzip', /larger than 8388608 bytes/],
  ];
  for (const [body, coding, message] of answers) {
    const { ours, name, registry } = await pullOdd(t, 'index', (_asked, response) =>
      send(response, 200, body, { 'content-encoding': coding }),
    );
    await t.rejects(ours.pull(name), { message });
    await t.rejects(ours.pull(name), { message: new RegExp(registry.host) });
  }
});

t.test('a layer that is compressed for the way is as it was', async (t) => {
  const forms: Record<string, (response: ServerResponse, bytes: Buffer) => unknown> = {
    'compressed once more': (response, bytes) =>
      send(response, 200, gzipSync(bytes), { 'content-encoding': 'gzip' }),
    'compressed by brotli': (response, bytes) =>
      send(response, 200, brotliCompressSync(bytes), { 'content-encoding': 'br' }),
    'called compressed, as it is': (response, bytes) =>
      send(response, 200, bytes, { 'content-encoding': 'gzip' }),
  };
  for (const [label, form] of Object.entries(forms)) {
    const { ours, name } = await pullOdd(t, 'layer', (_asked, response, bytes) => form(response, bytes));
    await t.resolves(ours.pull(name), label);
  }
});

t.test('heads of hundreds of kilobytes are read', async (t) => {
  const { ours, name } = await pullOdd(t, 'index', (_asked, response, bytes) =>
    send(response, 200, bytes, { 'content-security-policy': 'a'.repeat(300_000) }),
  );
  await t.resolves(ours.pull(name));
  const { ours: others, name: other } = await pullOdd(t, 'index', (_asked, response, bytes) =>
    send(response, 200, bytes, { 'content-security-policy': 'a'.repeat(2 << 20) }),
  );
  await t.rejects(others.pull(other), { message: /the headers of its answer are larger than 1048576 bytes/ });
});

t.test('a layer that lies elsewhere is had from there, and nobody there is told who we are', async (t) => {
  for (const type of [
    'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip',
    'application/vnd.oci.image.layer.nondistributable.v1.tar+gzip',
  ]) {
    let bytes: Buffer = Buffer.alloc(0);
    // One who made the image would like to have the password for the registry.
    const elsewhere = await OddRegistry.start(t, ({ url, headers }, response) =>
      url === '/layer'
        ? send(response, 200, bytes)
        : send(response, 401, '', { 'www-authenticate': `Bearer realm="http://${headers.host}/token"` }),
    );
    const behave: Odd = ({ headers }, response, pass) =>
      headers.authorization === undefined
        ? send(response, 401, '', { 'www-authenticate': `Bearer realm="http://${headers.host}/token"` })
        : pass();
    const registry = await OddRegistry.start(t, (asked, response, pass) =>
      asked.url.startsWith('/token')
        ? send(response, 200, JSON.stringify({ token: 'secret' }))
        : behave(asked, response, pass),
    );
    registry.image('app', '1');
    const manifest = JSON.parse(registry.manifests.get('app:1')!.bytes.toString());
    const [layer] = manifest.layers;
    bytes = registry.blobs.get(layer.digest)!;
    layer.mediaType = type;
    layer.urls = ['ftp://x/y', `http://${elsewhere.host}/private`, `http://${elsewhere.host}/layer`];
    registry.manifest('app', manifest, '1');
    registry.blobs.delete(layer.digest);
    const ours = transfers(t);
    await t.resolves(ours.pull(`${registry.host}/app:1`), type);
    t.strictSame(
      elsewhere.seen.map(({ url }) => url),
      ['/private', '/layer'],
    );
    t.ok(elsewhere.seen.every(({ headers }) => headers.authorization === undefined));
  }
});

t.test('Retry-After is read as seconds, as a date, and as the moment that some write', async (t) => {
  const now = Date.UTC(2026, 0, 2, 3, 4, 5);
  const date = (later: number): string => new Date(now + later).toUTCString();
  t.equal(retryAfter({ 'retry-after': '7' }, now), 7000);
  t.equal(retryAfter({ 'retry-after': ' 0 ' }, now), 0);
  t.equal(retryAfter({ 'retry-after': '1.5' }, now), 1500);
  t.equal(retryAfter({ 'retry-after': date(7000) }, now), 7000);
  t.equal(retryAfter({ 'retry-after': date(-7000) }, now), 0);
  t.equal(
    retryAfter({ 'retry-after': date(67_000), date: date(60_000) }, now),
    7000,
    'by the server’s clock',
  );
  t.equal(retryAfter({ 'retry-after': String(now / 1000 + 20) }, now), 20_000);
  t.equal(retryAfter({ 'retry-after': String(now / 1000 - 20) }, now), 0);
  for (const useless of ['', 'soon', '-5']) t.equal(retryAfter({ 'retry-after': useless }, now), undefined);
  t.equal(retryAfter({}, now), undefined);
});

t.test(
  'a registry that is busy is waited for as long as it asks, and no longer than people would',
  async (t) => {
    const late = await pullOdd(t, 'index', (_asked, response, _bytes, time) =>
      time === 1 ? send(response, 429, '', { 'retry-after': '2' }) : 'pass',
    );
    const begun = Date.now();
    await late.ours.pull(late.name);
    t.ok(Date.now() - begun >= 2000);
    const never = await pullOdd(t, 'index', (_asked, response) =>
      send(response, 429, '{"errors":[{"code":"TOOMANYREQUESTS","message":"enough for today"}]}', {
        'retry-after': '21600',
      }),
    );
    await t.rejects(never.ours.pull(never.name), {
      message: /too many requests \(429 TOOMANYREQUESTS: enough for today\).*; .*left alone for 360 minutes/,
    });
    t.equal(never.times(), 1);
  },
);
