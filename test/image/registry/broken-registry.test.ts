// SPDX-License-Identifier: MIT
/** Registries that fail, lie, stall, or lead elsewhere: what can be had is had, and nothing false is kept. */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import t, { type Test } from 'tap';
import { scratch } from '../../support/ground.js';
import { type Cli, makeLayout, storeCli } from '../../support/images.js';
import {
  type Behaviour,
  type Proxied,
  pushWithSkopeo,
  startProxy,
  startRegistry,
} from '../../support/registry.js';

interface Ground {
  cli: Cli;
  registry: string;
  proxy: Proxied;
  name: string;
}

/** An image in a registry behind a proxy that behaves as told. */
async function prepare(t: Test, behave: Behaviour): Promise<Ground> {
  const base = scratch(t);
  const { host } = await startRegistry(t, base);
  pushWithSkopeo(makeLayout(base), host, 'app:1');
  const proxy = await startProxy(t, host, behave);
  return { cli: storeCli(t, base), registry: host, proxy, name: `${proxy.host}/app:1` };
}

/** Nothing of a failed pull is visible; layers that came whole may wait for the next try. */
async function showsNothing(t: Test, cli: Cli): Promise<void> {
  t.equal(await cli.ok('images', '-q'), '');
  t.strictSame(readdirSync(join(cli.root, 'staging')), []);
  t.notMatch(await cli.ok('system', 'check'), /damaged|leftover|broken/);
}

const isLayer = (url = ''): boolean => url.includes('/blobs/');

t.test('a blob with another content than its digest is refused', async (t) => {
  const { cli, name } = await prepare(t, (message, _response, pass) =>
    pass(
      isLayer(message.url)
        ? {
            body: (bytes) =>
              Buffer.concat([bytes.subarray(0, -1), Buffer.from([bytes[bytes.length - 1] ^ 1])]),
          }
        : {},
    ),
  );
  t.match(await cli.run('pull', name), {
    status: 1,
    stderr: /verify|damaged|not what was announced|decompressed/,
  });
  await showsNothing(t, cli);
});

t.test('a manifest with another content than its digest is refused', async (t) => {
  const { cli, name, registry } = await prepare(t, (message, _response, pass) =>
    pass(
      message.url!.includes('/manifests/')
        ? { body: (bytes) => Buffer.concat([bytes, Buffer.from(' ')]) }
        : {},
    ),
  );
  const digest = `sha256:${createHash('sha256').update('x').digest('hex')}`;
  t.match(await cli.run('pull', name.replace(':1', `@${digest}`)), {
    status: 1,
    stderr: /has no such image/,
  });
  const honest = storeCli(t, cli.base, 'honest');
  const real = /Digest: (\S+)/.exec(await honest.ok('pull', `${registry}/app:1`))![1];
  t.match(await cli.run('pull', name.replace(':1', `@${real}`)), {
    status: 1,
    stderr: /verify .*: its digest is sha256/,
  });
  await showsNothing(t, cli);
});

t.test('a connection that is cut again and again is gone on with by range', async (t) => {
  const { cli, name, proxy } = await prepare(t, (message, _response, pass) =>
    pass(isLayer(message.url) ? { cutAfter: 100_000 } : {}),
  );
  const { status, stderr } = await cli.run('pull', name);
  t.equal(status, 0, stderr);
  t.match(stderr, /broke off after 100000 of \d+ bytes; going on from there/);
  t.ok(proxy.seen.some(({ range }) => range === 'bytes=100000-'));
  t.match(await cli.ok('system', 'check'), /nothing is wrong/);
});

t.test('a registry that knows no ranges is read again from the start', async (t) => {
  let cuts = 0;
  const { cli, name } = await prepare(t, (message, _response, pass) => {
    delete message.headers.range;
    pass(isLayer(message.url) && cuts++ < 3 ? { cutAfter: 50_000 } : {});
  });
  t.match(await cli.run('pull', name), { status: 0 });
  t.match(await cli.ok('system', 'check'), /nothing is wrong/);
});

t.test('a blob that always ends early is given up, with the reason', async (t) => {
  const { cli, name } = await prepare(t, (message, response, pass) => {
    if (!isLayer(message.url)) pass();
    else if (message.headers.range === undefined) pass({ cutAfter: 50_000 });
    else response.writeHead(206, { 'content-length': '10' }).write('', () => response.destroy());
  });
  t.match(await cli.run('pull', name), {
    status: 1,
    stderr: /breaks off after \d+ of \d+ bytes; try again later/,
  });
  await showsNothing(t, cli);
});

for (const status of [429, 503]) {
  t.test(`${status} is waited out`, async (t) => {
    let refusals = 0;
    const { cli, name } = await prepare(t, (_message, response, pass) => {
      if (refusals++ % 3 === 0)
        response.writeHead(status, { 'retry-after': '0' }).end('{"errors":[{"code":"TOOMANYREQUESTS"}]}');
      else pass();
    });
    t.match(await cli.run('pull', '-q', name), { status: 0, stdout: `${name}\n` });
  });
}

t.test('503 that never ends is said', async (t) => {
  const { cli, name } = await prepare(t, (_message, response) =>
    response
      .writeHead(503, { 'retry-after': '0' })
      .end('{"errors":[{"code":"UNAVAILABLE","message":"down for today"}]}'),
  );
  t.match(await cli.run('pull', name), {
    status: 1,
    stderr: /ask registry .*: it failed \(503 UNAVAILABLE: down for today\)/,
  });
});

t.test('a manifest of 100 MB is not read', async (t) => {
  const { cli, name } = await prepare(t, (message, response, pass) => {
    if (!message.url!.includes('/manifests/')) return pass();
    response.writeHead(200, { 'content-type': 'application/vnd.oci.image.manifest.v1+json' });
    const more = (left: number): void => {
      if (left === 0) response.end();
      else response.write(Buffer.alloc(1 << 20, 0x20), () => more(left - 1));
    };
    more(100);
  });
  t.match(await cli.run('pull', name), { status: 1, stderr: /larger than 8388608 bytes/ });
});

/** A token server and a registry that takes each of its tokens so many times. */
function tokens(life: number): Behaviour {
  const left = new Map<string, number>();
  return (message, response, pass) => {
    if (message.url!.startsWith('/token')) {
      const token = `t${left.size}`;
      left.set(`Bearer ${token}`, life);
      response.end(JSON.stringify({ token, expires_in: 300 }));
      return;
    }
    const { authorization = '', host } = message.headers;
    const uses = left.get(authorization) ?? 0;
    left.set(authorization, uses - 1);
    delete message.headers.authorization;
    const challenge = `Bearer realm="http://${host}/token",service="test",scope="repository:app:pull"`;
    if (uses > 0) pass();
    else response.writeHead(401, { 'www-authenticate': challenge }).end();
  };
}

t.test('a token that expires early is asked for again', async (t) => {
  const { cli, name, proxy } = await prepare(t, tokens(1));
  t.match(await cli.run('pull', '-q', name), { status: 0 });
  const asked = proxy.seen.filter(({ line }) => line.startsWith('GET /token'));
  t.ok(asked.length > 2, `${asked.length} tokens`);
  t.match(asked[0].line, /service=test&scope=repository%3Aapp%3Apull$/);
});

t.test('a token server that refuses, or gives nothing, is said', async (t) => {
  const answers: [status: number, body: string, message: RegExp][] = [
    [403, '', /its token server \S+ answered 403/],
    [200, 'no json', /gave no token/],
    [200, '{}', /gave no token/],
  ];
  for (const [status, body, message] of answers) {
    const { cli, name } = await prepare(t, (request, response) => {
      if (request.url!.startsWith('/token')) response.writeHead(status).end(body);
      else
        response
          .writeHead(401, { 'www-authenticate': `Bearer realm="http://${request.headers.host}/token"` })
          .end();
    });
    t.match(await cli.run('pull', name), { status: 1, stderr: message });
  }
});

t.test('a redirect to another host gets no credentials, and the layer comes from there', async (t) => {
  const base = scratch(t);
  const access = { username: 'ann', password: 'secret' };
  const open = await startRegistry(t, base);
  const layout = makeLayout(base);
  pushWithSkopeo(layout, open.host, 'app:1');
  const elsewhere = await startProxy(t, open.host, (_message, _response, pass) => pass());
  const front = await startProxy(t, open.host, (message, response, pass) => {
    const known = `Basic ${Buffer.from('ann:secret').toString('base64')}`;
    if (message.headers.authorization !== known)
      response.writeHead(401, { 'www-authenticate': 'Basic realm="x"' }).end();
    else if (isLayer(message.url))
      response.writeHead(307, { location: `http://${elsewhere.host}${message.url}` }).end();
    else pass();
  });
  const cli = storeCli(t, base);
  mkdirSync(join(base, 'docker'));
  const auth = Buffer.from(`${access.username}:${access.password}`).toString('base64');
  writeFileSync(join(base, 'docker/config.json'), JSON.stringify({ auths: { [front.host]: { auth } } }));
  t.match(await cli.run('pull', '-q', `${front.host}/app:1`), { status: 0 });
  t.ok(elsewhere.seen.length >= 3);
  t.ok(elsewhere.seen.every(({ authorization }) => authorization === undefined));
});

t.test('redirects without an end are given up', async (t) => {
  const { cli, name } = await prepare(t, (message, response) =>
    response.writeHead(302, { location: `${message.url}x` }).end(),
  );
  t.match(await cli.run('pull', name), { status: 1, stderr: /redirects without an end/ });
});

t.test('what is no manifest of an image is refused', async (t) => {
  const documents: [text: string, message: RegExp][] = [
    ['<html>', /it is not JSON/],
    ['{"schemaVersion":1}', /schema 1/],
    ['{"schemaVersion":2,"config":{},"layers":[]}', /descriptor/],
    [
      '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}',
      /it names no image/,
    ],
  ];
  for (const [text, message] of documents) {
    const { cli, name } = await prepare(t, (request, response, pass) =>
      request.url!.includes('/manifests/') ? response.end(text) : pass(),
    );
    t.match(await cli.run('pull', name), { status: 1, stderr: message });
  }
});

t.test('an interrupted pull leaves nothing half done', async (t) => {
  let reached: () => void;
  const stalled = new Promise<void>((resolve) => {
    reached = resolve;
  });
  const { cli, name } = await prepare(t, (message, _response, pass) => {
    if (isLayer(message.url) && message.headers.range === undefined) reached();
    if (!isLayer(message.url)) pass();
  });
  const child = spawn(join(process.cwd(), 'bin/tsoverlay'), ['pull', name], {
    env: { ...process.env, ...cli.environment },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const said = text(child.stderr);
  await stalled;
  child.kill('SIGINT');
  t.equal(await new Promise((done) => child.on('exit', done)), 1);
  t.match(await said, /it was interrupted; nothing half done is left/);
  await showsNothing(t, cli);
});

t.test('an upload that the registry sends to another host gets no credentials', async (t) => {
  const base = scratch(t);
  const { host } = await startRegistry(t, base);
  const elsewhere = await startProxy(t, host, (_message, _response, pass) => pass());
  const front = await startProxy(t, host, (message, response, pass) => {
    if (message.headers.authorization === undefined)
      response.writeHead(401, { 'www-authenticate': 'Basic realm="x"' }).end();
    else if (message.method === 'POST')
      pass({ location: (location) => location.replace(/^http:\/\/[^/]+/, `http://${elsewhere.host}`) });
    else pass();
  });
  const cli = storeCli(t, base);
  mkdirSync(join(base, 'docker'));
  const auth = Buffer.from('ann:secret').toString('base64');
  writeFileSync(join(base, 'docker/config.json'), JSON.stringify({ auths: { [front.host]: { auth } } }));
  await cli.ok('load', '-q', '-i', makeLayout(base));
  await cli.ok('tag', 'layout', `${front.host}/up:1`);
  t.match(await cli.run('push', '-q', `${front.host}/up:1`), { status: 0 });
  t.equal(elsewhere.seen.filter(({ line }) => line.startsWith('PUT ')).length, 3);
  t.ok(elsewhere.seen.every(({ authorization }) => authorization === undefined));
});
