// SPDX-License-Identifier: MIT
/** The way to registries that only a proxy knows, and what is said where it is none. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { makeContext } from '../../support/builds.js';
import { ForwardProxy, type ProxyOptions } from '../../support/forward-proxy.js';
import { run, scratch } from '../../support/ground.js';
import { type Cli, storeCli } from '../../support/images.js';
import { type Odd, OddRegistry, send } from '../../support/odd-registry.js';

const VARIABLES = ['HTTPS_PROXY', 'HTTP_PROXY', 'ALL_PROXY', 'NO_PROXY'].flatMap((name) => [
  name,
  name.toLowerCase(),
]);

/** A certificate that nobody but itself signed. */
function selfSigned(base: string, name: string): { key: string; cert: string; path: string } {
  const [key, path] = [join(base, `${name}.key`), join(base, `${name}.crt`)];
  const names = `subjectAltName=${/^[\d.]+$/.test(name) ? 'IP' : 'DNS'}:${name}`;
  const made = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', key, '-out', path];
  run('openssl', ...made, '-subj', `/CN=${name}`, '-addext', names, '-days', '2');
  return { key: readFileSync(key, 'utf8'), cert: readFileSync(path, 'utf8'), path };
}

interface Ground {
  base: string;
  registry: OddRegistry;
  cli: Cli;
  /** Sets variables, and takes those of before away. */
  set(environment: Record<string, string>): void;
  proxy(options?: ProxyOptions): Promise<ForwardProxy>;
  /** What was pulled by way of a proxy, and what was said. */
  pull(): ReturnType<Cli['run']>;
}

/** A registry that is `reg.test:5000` to proxies and to nobody else; with TLS by a certificate that commands trust. */
async function prepare(
  t: Test,
  { tls = true, behave }: { tls?: boolean; behave?: Odd } = {},
): Promise<Ground> {
  const base = scratch(t);
  const certificate = tls ? selfSigned(base, 'reg.test') : undefined;
  const registry = await OddRegistry.start(t, behave, certificate === undefined ? {} : { tls: certificate });
  registry.image('app', '1');
  const cli = storeCli(t, base);
  if (certificate !== undefined) cli.environment.SSL_CERT_FILE = certificate.path;
  const set = (environment: Record<string, string>): void => {
    for (const name of VARIABLES) cli.environment[name] = environment[name] ?? '';
  };
  set({});
  return {
    base,
    registry,
    cli,
    set,
    proxy: (options) => ForwardProxy.start(t, { 'reg.test:5000': registry.host }, options),
    pull: () => cli.run('pull', '-q', 'reg.test:5000/app:1'),
  };
}

function trustPlainHttp({ cli }: Ground, ...hosts: string[]): void {
  writeFileSync(cli.environment.TSOVERLAY_CONFIG, JSON.stringify({ 'insecure-registries': hosts }));
}

t.test('a registry is reached through the proxy of each variable that leads there', async (t) => {
  const ground = await prepare(t);
  const proxy = await ground.proxy();
  for (const environment of [
    { HTTPS_PROXY: `http://${proxy.host}` },
    { https_proxy: `http://${proxy.host}/` },
    { ALL_PROXY: proxy.host },
    { all_proxy: `HTTP://${proxy.host}`, NO_PROXY: 'reg.test:5001, .reg.test' },
  ]) {
    proxy.seen.length = 0;
    ground.set(environment);
    t.match(await ground.pull(), { status: 0 }, JSON.stringify(environment));
    t.ok(proxy.seen.length > 0, 'the proxy is asked');
    t.strictSame(new Set(proxy.seen), new Set(['CONNECT reg.test:5000']));
  }
  t.equal(proxy.logins.size, 0);
  ground.set({ HTTPS_PROXY: `http://ann%40corp:p%3A%2Fw@${proxy.host}` });
  t.match(await ground.pull(), { status: 0 });
  t.strictSame([...proxy.logins], [`Basic ${Buffer.from('ann@corp:p:/w').toString('base64')}`]);
  t.notOk(
    ground.registry.seen.some(({ headers }) => 'proxy-authorization' in headers),
    'the registry does not see who asks the proxy',
  );
});

t.test('what NO_PROXY names and what is on this machine never goes through a proxy', async (t) => {
  const ground = await prepare(t, { tls: false });
  const proxy = await ground.proxy();
  const everywhere = { ALL_PROXY: proxy.host, HTTP_PROXY: proxy.host, HTTPS_PROXY: proxy.host };
  ground.set(everywhere);
  await ground.cli.ok('pull', '-q', `${ground.registry.host}/app:1`);
  ground.set({ ...everywhere, no_proxy: 'a.test,.test:5000' });
  t.match(await ground.pull(), { status: 1, stderr: /ask registry reg.test:5000: it cannot be reached/ });
  t.strictSame(proxy.seen, []);
});

t.test('pushes, searches and whole repositories go through the proxy', async (t) => {
  const { cli, registry, set, proxy: start } = await prepare(t);
  const proxy = await start();
  set({ HTTPS_PROXY: proxy.host });
  await cli.ok('pull', '-q', '-a', 'reg.test:5000/app');
  await cli.ok('tag', 'reg.test:5000/app:1', 'reg.test:5000/ours:1');
  await cli.ok('push', 'reg.test:5000/ours:1');
  t.ok(registry.manifests.has('ours:1'));
  t.equal(await cli.ok('search', '--tags', 'reg.test:5000/ours'), '1\n');
});

t.test('token servers and redirects lead on through the proxy of their scheme', async (t) => {
  const store = await OddRegistry.start(t);
  const ground = await prepare(t, {
    tls: false,
    behave({ url, headers }, response, pass) {
      if (headers.authorization !== 'Bearer T')
        return void send(response, 401, '', {
          'www-authenticate': 'Bearer realm="https://token.test/token",service="s"',
        });
      if (!url.includes('/blobs/')) return pass();
      send(response, 307, '', { location: `http://store.test${url}` });
    },
  });
  const tokens = selfSigned(ground.base, 'token.test');
  const server = await OddRegistry.start(t, (_asked, response) => void send(response, 200, '{"token":"T"}'), {
    tls: tokens,
  });
  for (const [digest, bytes] of ground.registry.blobs) store.blobs.set(digest, bytes);
  const places = {
    'reg.test:5000': ground.registry.host,
    'store.test': store.host,
    'token.test:443': server.host,
  };
  const [plain, secure] = [await ForwardProxy.start(t, places), await ForwardProxy.start(t, places)];
  ground.cli.environment.SSL_CERT_FILE = tokens.path;
  // The registry speaks no TLS, which shows only beyond the proxy.
  trustPlainHttp(ground, 'reg.test:5000');
  ground.set({ HTTP_PROXY: `ann:pass@${plain.host}`, HTTPS_PROXY: secure.host });
  t.match(await ground.pull(), { status: 0 });
  t.match(plain.seen, [/^GET http:\/\/reg.test:5000\/v2\/app\/manifests\/1$/]);
  t.ok(plain.seen.some((line) => line.startsWith('GET http://store.test/v2/app/blobs/')));
  t.strictSame(new Set(secure.seen), new Set(['CONNECT reg.test:5000', 'CONNECT token.test:443']));
  t.equal(plain.logins.size, 1);
  for (const { headers } of [...ground.registry.seen, ...store.seen]) {
    t.notOk('proxy-authorization' in headers);
    t.match(headers.host, /^(reg|store)\.test/, 'it is asked by its own name');
  }
});

t.test('what ADD fetches comes through the proxy', async (t) => {
  const ground = await prepare(t, { behave: (_asked, response) => void send(response, 200, 'content') });
  const proxy = await ForwardProxy.start(t, {
    'files.test': ground.registry.host,
    'reg.test:443': ground.registry.host,
  });
  const plain = await OddRegistry.start(
    t,
    ({ headers }, response) => void send(response, 200, headers.authorization ?? ''),
  );
  const passing = await ForwardProxy.start(t, { 'files.test': plain.host });
  ground.set({ HTTPS_PROXY: proxy.host, HTTP_PROXY: passing.host });
  const dockerfile = 'FROM scratch\nADD https://reg.test/a /\nADD http://ann:pass@files.test/b /\n';
  const context = makeContext(ground.base, { Dockerfile: dockerfile });
  const out = join(ground.base, 'out');
  await ground.cli.ok('build', '-o', out, context);
  t.equal(readFileSync(join(out, 'a'), 'utf8'), 'content');
  t.equal(readFileSync(join(out, 'b'), 'utf8'), `Basic ${Buffer.from('ann:pass').toString('base64')}`);
  t.strictSame(proxy.seen, ['CONNECT reg.test:443']);
  t.strictSame(passing.seen, ['GET http://files.test/b']);
});

t.test(
  'a proxy that does not lead to the registry is named with what to do, its password never',
  async (t) => {
    const status = (line: string, more = ''): string =>
      `HTTP/1.1 ${line}\r\n${more}content-length: 0\r\n\r\n`;
    const cases: [says: string, message: string][] = [
      [
        status('407 Who', 'proxy-authenticate: Basic realm="p"\r\n'),
        'it does not take the name and password of VARIABLE (407); write others: http://NAME:PASSWORD@PROXY, with what is special as %XX',
      ],
      [
        status('407 Who', 'proxy-authenticate: NTLM\r\nproxy-authenticate: Negotiate\r\n'),
        'it asks for a login by ntlm, negotiate (407), of which none is known; name one in VARIABLE that takes a name and a password, or none',
      ],
      [
        status('403 No'),
        'it does not let us through to reg.test:5000 (403); try again later, or if reg.test:5000 needs no proxy, name it in NO_PROXY',
      ],
      [
        status('502 Bad'),
        'it does not reach reg.test:5000 (502); try again later, or if reg.test:5000 needs no proxy, name it in NO_PROXY',
      ],
      ['', 'it breaks the connection off (ECONNRESET); see whether VARIABLE in the environment is right'],
      [
        'SSH-2.0-x\r\n',
        'what it answers is no HTTP (HPE_INVALID_CONSTANT); see whether VARIABLE in the environment is right',
      ],
    ];
    for (const tls of [true, false]) {
      const ground = await prepare(t, { tls });
      const variable = tls ? 'HTTPS_PROXY' : 'http_proxy';
      const told = async (place: string, host: string, meant: string): Promise<void> => {
        ground.set({ [variable]: place });
        const { status: exit, stderr } = await (tls
          ? ground.pull()
          : addFrom(ground, 'http://reg.test:5000/f'));
        t.equal(exit, 1);
        const words = meant.replaceAll('VARIABLE', variable).replaceAll('PROXY,', `${host},`);
        t.ok(stderr.includes(`ask proxy ${host}: ${words}\n`), `${words}\n${stderr}`);
        t.notMatch(stderr, /secret/);
      };
      const login = await ground.proxy({ says: () => status('407 Who') });
      // Most of the time is between tries.
      await Promise.all([
        ...cases.map(async ([says, message]) => {
          const { host } = await ground.proxy({ says: () => says });
          await told(`http://ann:secret@${host}`, host, message);
        }),
        told(
          'http://127.0.0.1:1',
          '127.0.0.1:1',
          'it cannot be reached (ECONNREFUSED); see whether VARIABLE in the environment is right',
        ),
        told(
          login.host,
          login.host,
          `it asks for a name and a password (407); write them into VARIABLE: http://NAME:PASSWORD@${login.host}`,
        ),
      ]);
    }
  },
);

/** How a build ends that fetches a file. */
async function addFrom({ base, cli }: Ground, url: string): ReturnType<Cli['run']> {
  return await cli.run('build', makeContext(base, { Dockerfile: `FROM scratch\nADD ${url} /\n` }));
}

t.test('a proxy that fails once is asked again, and one that ends a tunnel is named', async (t) => {
  const ground = await prepare(t);
  let asked = 0;
  const once = await ground.proxy({
    says: () => (++asked === 1 ? 'HTTP/1.1 503 Busy\r\n\r\n' : undefined),
  });
  ground.set({ HTTPS_PROXY: once.host });
  t.match(await ground.pull(), { status: 0 });
  const ends = await ground.proxy({ says: () => 'HTTP/1.1 200 Fine\r\n\r\n' });
  ground.set({ HTTPS_PROXY: ends.host });
  t.match(await ground.pull(), {
    status: 1,
    stderr: `ask proxy ${ends.host}: the way to reg.test:5000 through it breaks off (ECONNRESET)`,
  });
});

t.test('only an insecure registry is asked without TLS where its proxy finds no TLS', async (t) => {
  const ground = await prepare(t, { tls: false });
  const proxy = await ground.proxy({
    says: (line) => (line.startsWith('CONNECT') ? 'HTTP/1.1 503 Nobody\r\n\r\n' : undefined),
  });
  ground.set({ ALL_PROXY: proxy.host });
  t.match(await ground.pull(), { status: 1, stderr: /it does not reach reg.test:5000 \(503\)/ });
  t.notOk(proxy.seen.some((line) => !line.startsWith('CONNECT')));
  trustPlainHttp(ground, 'reg.test:5000');
  t.match(await ground.pull(), { status: 0 });
  ground.set({ HTTPS_PROXY: proxy.host });
  t.match(
    await ground.pull(),
    { status: 1, stderr: `ask proxy ${proxy.host}: it does not reach reg.test:5000 (503)` },
    'where there is no other way the proxy is what is wrong',
  );
});

t.test('what fails beyond a proxy is told with the way that led there', async (t) => {
  const ground = await prepare(t);
  ground.cli.environment.SSL_CERT_FILE = '';
  const proxy = await ground.proxy();
  ground.set({ HTTPS_PROXY: proxy.host });
  t.match(await ground.pull(), {
    status: 1,
    stderr: `ask registry reg.test:5000: its certificate is signed by itself alone (DEPTH_ZERO_SELF_SIGNED_CERT) by way of proxy ${proxy.host}; put`,
  });
  t.match(await addFrom(ground, 'https://reg.test:5000/f'), {
    status: 1,
    stderr: `self-signed certificate by way of proxy ${proxy.host};`,
  });
  const { host } = await ground.proxy({ says: () => 'HTTP/1.1 500 Nobody\r\ncontent-length: 0\r\n\r\n' });
  ground.set({ HTTP_PROXY: host });
  t.match(await addFrom(ground, 'http://reg.test:5000/f'), {
    status: 1,
    stderr: `the server answers 500 by way of proxy ${host};`,
  });
});

t.test('a registry that says no in its own words is not taken for the proxy', async (t) => {
  const ground = await prepare(t, {
    tls: false,
    behave: (_asked, response) =>
      void send(response, 403, '{"errors":[{"code":"DENIED","message":"not yours"}]}', {
        'content-type': 'application/json',
      }),
  });
  trustPlainHttp(ground, 'reg.test:5000');
  ground.set({ ALL_PROXY: (await ground.proxy()).host });
  t.match(await ground.pull(), { status: 1, stderr: /ask registry reg.test:5000: .*not yours/ });
});

t.test(
  'a proxy that is asked by TLS is trusted as the machine trusts, whatever the registry is',
  async (t) => {
    for (const tls of [true, false]) {
      const ground = await prepare(t, { tls });
      trustPlainHttp(ground, 'reg.test:5000');
      const own = selfSigned(ground.base, '127.0.0.1');
      const proxy = await ground.proxy({ tls: own });
      const place = join(ground.base, 'config/tsoverlay/certs.d/reg.test:5000');
      mkdirSync(place, { recursive: true });
      for (const [file, text] of [
        ['client.cert', own.cert],
        ['client.key', own.key],
        ['ca.crt', own.cert],
      ])
        writeFileSync(join(place, file), text);
      ground.cli.environment.XDG_CONFIG_HOME = join(ground.base, 'config');
      ground.set({ ALL_PROXY: `https://${proxy.host}` });
      t.match(await ground.pull(), {
        status: 1,
        stderr: `ask proxy ${proxy.host}: its certificate is signed by itself alone (DEPTH_ZERO_SELF_SIGNED_CERT); put the certificate of its authority into a file, and name that in SSL_CERT_FILE`,
      });
      t.strictSame(proxy.seen, []);
      ground.cli.environment.SSL_CERT_FILE = own.path;
      t.match(await ground.pull(), { status: 0 });
      t.ok(proxy.seen.length > 0);
      t.equal(proxy.certificates, 0, 'the certificate for the registry is not shown to the proxy');
      const plain = await ground.proxy();
      ground.set({ ALL_PROXY: `https://${plain.host}` });
      t.match(await ground.pull(), {
        status: 1,
        stderr: /speaks plain HTTP; if that is meant, write http:\/\/ in ALL_PROXY/,
      });
    }
  },
);
