// SPDX-License-Identifier: MIT
/** Token servers of every kind: what they answer, where they lead, what they are told. */

import { mkdirSync, writeFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import t, { type Test } from 'tap';
import { mergeScopes, parseToken } from '../../../lib/image/registry/auth.js';
import { type Cli, storeCli } from '../../support/images.js';
import { type Asked, OddRegistry, send } from '../../support/odd-registry.js';

interface Ground {
  registry: OddRegistry;
  cli: Cli;
  /** Requests for tokens. */
  tokens(): Asked[];
}

/** A registry whose token server answers as told; the token is T. */
async function withTokens(
  t: Test,
  answer: (asked: Asked, response: ServerResponse) => void,
  scope = 'repository:app:pull',
): Promise<Ground> {
  const isToken = ({ url }: Asked): boolean => url.startsWith('/token');
  const registry: OddRegistry = await OddRegistry.start(t, (asked, response, pass) => {
    if (isToken(asked)) return answer(asked, response);
    if (asked.headers.authorization === 'Bearer T') return pass();
    const challenge = `Bearer realm="http://${registry.host}/token?of=us",service="s",scope="${scope}"`;
    response.writeHead(401, { 'www-authenticate': challenge }).end();
  });
  registry.image('app', '1');
  return { registry, cli: storeCli(t), tokens: () => registry.seen.filter(isToken) };
}

function logIn({ cli, registry }: Ground, entry: object): void {
  mkdirSync(cli.environment.DOCKER_CONFIG);
  const config = JSON.stringify({ auths: { [registry.host]: entry } });
  writeFileSync(join(cli.environment.DOCKER_CONFIG, 'config.json'), config);
}

const ann = { auth: Buffer.from('ann:pass').toString('base64') };

t.test('a token is found in each form in which servers answer', (t) => {
  const now = 1_000_000;
  const life = (text: string): number | undefined => {
    const token = parseToken(text, now);
    return token === undefined ? undefined : (token.expires - now) / 1000;
  };
  for (const good of [
    '{"token":"T"}',
    '{"access_token":"T"}',
    '{"token":"T","access_token":""}',
    '{"token":"","access_token":"T"}',
    '{"token":null,"access_token":"T"}',
    '{"token":1,"access_token":"T"}',
    '\uFEFF {"token":"T"}',
  ])
    t.equal(parseToken(good)?.value, 'T', good);
  for (const bad of ['', 'null', '[]', '"T"', '{}', '{"token":""}', '{"token":"a\\r\\nb"}', '{"token":{}}'])
    t.equal(parseToken(bad), undefined, bad);
  for (const [expires, seconds] of [
    ['300', 295],
    ['"300"', 295],
    ['0', 55],
    ['-1', 55],
    ['10', 55],
    ['null', 55],
    ['"soon"', 55],
    ['{}', 55],
  ] as const)
    t.equal(life(`{"token":"T","expires_in":${expires}}`), seconds, `expires_in ${expires}`);
  t.end();
});

t.test('scopes of a call and of a challenge are joined, a resource once', (t) => {
  t.equal(mergeScopes('repository:a:pull', undefined), 'repository:a:pull');
  t.equal(mergeScopes('repository:a:pull,push', 'repository:a:pull'), 'repository:a:pull,push');
  t.equal(
    mergeScopes(
      'repository:a:pull,push repository:b:pull',
      ' repository:h:5000/a:pull  repository:b:delete ',
    ),
    'repository:a:pull,push repository:b:pull,delete repository:h:5000/a:pull',
  );
  t.equal(mergeScopes('registry:catalog:*', 'registry:catalog:*'), 'registry:catalog:*');
  t.end();
});

t.test('a token server is asked once for what a registry calls by another name', async (t) => {
  const ground = await withTokens(
    t,
    ({ url }, response) =>
      void send(response, url.includes('hub%2Fapp') ? 200 : 403, '{"token":"T","expires_in":0}'),
    'repository:hub/app:pull',
  );
  await ground.cli.ok('pull', '-q', `${ground.registry.host}/app:1`);
  t.strictSame(
    ground.tokens().map(({ url }) => url),
    ['/token?of=us&service=s&scope=repository%3Aapp%3Apull&scope=repository%3Ahub%2Fapp%3Apull'],
  );
});

t.test('a token server that redirects is followed, and a password stays with its host', async (t) => {
  const elsewhere = await OddRegistry.start(
    t,
    (_asked, response) => void send(response, 200, '{"token":"T"}'),
  );
  const near = await withTokens(t, ({ url }, response) => {
    if (url.startsWith('/token2')) return void send(response, 200, '{"token":"T"}');
    response.writeHead(302, { location: `/token2${url.slice('/token'.length)}` }).end();
  });
  logIn(near, ann);
  await near.cli.ok('pull', '-q', `${near.registry.host}/app:1`);
  t.match(near.tokens(), [{}, { url: /service=s/, headers: { authorization: /^Basic / } }]);
  const far = await withTokens(t, (_asked, response) =>
    response.writeHead(307, { location: `http://${elsewhere.host}/t` }).end(),
  );
  logIn(far, ann);
  await far.cli.ok('pull', '-q', `${far.registry.host}/app:1`);
  t.equal(elsewhere.seen[0].headers.authorization, undefined);
  const round = await withTokens(t, (_asked, response) => response.writeHead(302, { location: '' }).end());
  t.match(await round.cli.run('pull', `${round.registry.host}/app:1`), {
    status: 1,
    stderr: /its token server \S+ redirects without an end/,
  });
});

t.test('a refresh token is exchanged, and goes to nobody but its server', async (t) => {
  const ground = await withTokens(t, ({ method, body }, response) => {
    const isRight = method === 'POST' && body.includes('refresh_token=R');
    send(response, isRight ? 200 : 403, '{"access_token":"T","refresh_token":"R2"}');
  });
  logIn(ground, { identitytoken: 'R' });
  await ground.cli.ok('pull', '-q', `${ground.registry.host}/app:1`);
  const sent = new URLSearchParams(ground.tokens()[0].body.toString());
  t.match(Object.fromEntries(sent), {
    grant_type: 'refresh_token',
    refresh_token: 'R',
    service: 's',
    scope: 'repository:app:pull',
  });
  const elsewhere = await OddRegistry.start(t);
  const leading = await withTokens(t, (_asked, response) =>
    response.writeHead(307, { location: `http://${elsewhere.host}/t` }).end(),
  );
  logIn(leading, { identitytoken: 'R' });
  t.match(await leading.cli.run('pull', `${leading.registry.host}/app:1`), {
    status: 1,
    stderr: /sends the password on to 127\.0\.0\.1/,
  });
  t.equal(elsewhere.seen.length, 0);
});

t.test('a registry takes the token that a file has for it', async (t) => {
  const ground = await withTokens(t, (_asked, response) => void send(response, 500));
  logIn(ground, { registrytoken: 'T' });
  await ground.cli.ok('pull', '-q', `${ground.registry.host}/app:1`);
  t.equal(ground.tokens().length, 0);
});

t.test('a token that comes compressed unasked is read', async (t) => {
  for (const headers of [{ 'content-encoding': 'gzip' }, {}]) {
    const ground = await withTokens(t, (_asked, response) =>
      send(response, 200, gzipSync('{"token":"T"}'), headers),
    );
    await ground.cli.ok('pull', '-q', `${ground.registry.host}/app:1`);
    t.equal(ground.tokens().length, 1);
  }
});

t.test('what a token server says is wrong is shown, with what helps', async (t) => {
  const page = '<html>no</html>';
  const errors = '{"errors":[{"code":"DENIED","message":"no access"},{"message":"ask Ann"}]}';
  const logIn = /; put a name and password for it into /;
  const answers: [status: number, body: string | Buffer, shown: string, remedy: RegExp][] = [
    [401, errors, 'answered 401 (DENIED: no access; ask Ann)', logIn],
    [403, '{"error":"access_denied"}', 'answered 403 (access_denied)', logIn],
    [401, gzipSync(errors), 'answered 401 (DENIED: no access; ask Ann)', logIn],
    [401, '{"details":"incorrect username or password"}', 'answered 401 (incorrect username or pass', logIn],
    [
      400,
      '{"error":"invalid_scope","error_description":"no\\nsuch \\u001b[2Jscope"}',
      'answered 400 (invalid_scope: no such [2Jscope)',
      /\)\n$/,
    ],
    [401, page, 'answered 401', logIn],
    [404, Buffer.alloc(1 << 20, 'x'), 'answered 404', /404\n$/],
    [200, '{"error":"temporarily_unavailable"}', 'gave no token (temporarily_unavailable)', /\)\n$/],
    [200, '{}', 'gave no token', /token\n$/],
    [503, '{"message":"we move"}', 'answered 503 (we move)', /; it asks to be left alone for 17 minutes\n$/],
  ];
  for (const [status, body, shown, remedy] of answers) {
    const later = status === 503 ? { 'retry-after': '1000' } : {};
    const ground = await withTokens(t, (_asked, response) => send(response, status, body, later));
    const { host } = ground.registry;
    const { stderr } = await ground.cli.run('pull', '-q', `${host}/app:1`);
    t.ok(stderr.startsWith(`tsoverlay: ask registry ${host}: its token server ${host} ${shown}`), stderr);
    t.match(stderr, remedy);
    t.equal(ground.tokens().length, 1, 'asked once');
  }
});

t.test('a refresh token that ended is said to be wrong, in the words of the token server', async (t) => {
  const ground = await withTokens(t, (_asked, response) =>
    send(response, 400, '{"error":"invalid_grant","error_description":"it ended"}'),
  );
  logIn(ground, { identitytoken: 'R' });
  t.match(await ground.cli.run('pull', '-q', `${ground.registry.host}/app:1`), {
    status: 1,
    stderr: /answered 400 \(invalid_grant: it ended\); the ones in \S+config\.json are wrong; log in again/,
  });
});

t.test('a token server that is busy for a moment is asked again when it says', async (t) => {
  let asked = 0;
  const times: number[] = [];
  const ground = await withTokens(t, (_asked, response) => {
    times.push(performance.now());
    if (++asked > 1) return void send(response, 200, '{"token":"T"}');
    send(response, 429, '', { 'retry-after': '1' });
  });
  await ground.cli.ok('pull', '-q', `${ground.registry.host}/app:1`);
  t.ok(times[1] - times[0] >= 1000, `${times[1] - times[0]} ms`);
});
