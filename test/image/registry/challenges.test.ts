// SPDX-License-Identifier: MIT
/** Of all the ways to log in that a registry offers, one that can be gone is gone. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { parseChallenges } from '../../../lib/image/connection/challenge.js';
import { type Cli, storeCli } from '../../support/images.js';
import { OddRegistry, send } from '../../support/odd-registry.js';

const basic = `Basic ${Buffer.from('ann:pass').toString('base64')}`;

/** A registry that takes what `takes` says, after it has offered `offers`; REALM stands for its token server. */
async function guarded(
  t: Test,
  offers: string[],
  takes: string[],
  tokenStatus = 200,
): Promise<{ registry: OddRegistry; cli: Cli; logIn(): void }> {
  const registry: OddRegistry = await OddRegistry.start(t, ({ url, headers }, response, pass) => {
    if (url.startsWith('/token')) return void send(response, tokenStatus, '{"token":"T"}');
    if (takes.includes(headers.authorization ?? '')) return pass();
    const realm = `http://${registry.host}/token`;
    response.writeHead(401, { 'www-authenticate': offers.map((offer) => offer.replace('REALM', realm)) });
    response.end();
  });
  registry.image('app', '1');
  const cli = storeCli(t);
  const logIn = (): void => {
    mkdirSync(cli.environment.DOCKER_CONFIG);
    const auths = { [registry.host]: { auth: Buffer.from('ann:pass').toString('base64') } };
    writeFileSync(join(cli.environment.DOCKER_CONFIG, 'config.json'), JSON.stringify({ auths }));
  };
  return { registry, cli, logIn };
}

const BEARER = 'Bearer realm="REALM",service="s",scope="repository:app:pull"';

t.test('a challenge that cannot be met gives way to one that can', async (t) => {
  const offers: string[][] = [
    [BEARER],
    ['Negotiate', 'Basic realm="x"'],
    ['Digest realm="x", nonce="n, Basic y"', 'Basic realm="x"'],
    ['Negotiate dG9rZW4=, NTLM, Basic realm="x, y"'],
    [BEARER, 'Basic realm="x"'],
    [`${BEARER}, Basic realm="x"`],
    [`Basic realm="x", ${BEARER}`],
    [`Basic,${BEARER}`],
    ['Bearer service="s"', 'Basic realm="x"'],
    ['Bearer realm="not a place"', 'Basic'],
    ['bearer Realm = REALM , Service=s'],
    ["BEARER realm='REALM'"],
  ];
  for (const offered of offers) {
    const { registry, cli, logIn } = await guarded(t, offered, [basic, 'Bearer T']);
    logIn();
    t.match(await cli.run('pull', '-q', `${registry.host}/app:1`), { status: 0 }, offered.join(' | '));
  }
});

t.test('without a login a token is fetched, whatever else is offered', async (t) => {
  for (const offered of [
    [BEARER, 'Basic realm="x"'],
    ['Basic realm="x"', BEARER],
    ['Negotiate', BEARER],
  ]) {
    const { registry, cli } = await guarded(t, offered, ['Bearer T']);
    t.match(await cli.run('pull', '-q', `${registry.host}/app:1`), { status: 0 }, offered.join(' | '));
    const asked = registry.seen.find(({ url }) => url.startsWith('/token'))!;
    t.equal(asked.headers.authorization, undefined);
  }
});

t.test('a way that is not let through gives way to the next, and the first reason is told', async (t) => {
  const refusing = await guarded(t, [BEARER, 'Basic'], [basic], 403);
  refusing.logIn();
  t.match(await refusing.cli.run('pull', '-q', `${refusing.registry.host}/app:1`), { status: 0 });
  const useless = await guarded(t, [BEARER, 'Basic'], [basic]);
  useless.logIn();
  t.match(await useless.cli.run('pull', '-q', `${useless.registry.host}/app:1`), { status: 0 });
  const closed = await guarded(t, [BEARER, 'Basic'], [], 403);
  closed.logIn();
  t.match(await closed.cli.run('pull', `${closed.registry.host}/app:1`), {
    status: 1,
    stderr: /its token server \S+ answered 403; the ones in .*config.json are wrong/,
  });
});

t.test('what is asked for and is not known here has its name in the message', async (t) => {
  const { registry, cli } = await guarded(t, ['Negotiate', 'Digest realm="x"'], []);
  t.match(await cli.run('pull', `${registry.host}/app:1`), {
    status: 1,
    stderr: /asks for an authorization that is not known \(negotiate, digest\)/,
  });
  const silent = await OddRegistry.start(t, (_asked, response) => void send(response, 401));
  t.match(await cli.run('pull', `${silent.host}/app:1`), { status: 1, stderr: /not authorized \(401\)/ });
});

t.test('a header of challenges is read as the grammar has it, and odd ones as they are meant', (t) => {
  const read = (header: string): unknown[] =>
    parseChallenges(header).map(({ scheme, parameters }) => [scheme, Object.fromEntries(parameters)]);
  const cases: [header: string, challenges: unknown[]][] = [
    ['', []],
    [' , ,', []],
    ['Basic', [['basic', {}]]],
    ['Bearer realm="a\\"b,c", scope="x y"', [['bearer', { realm: 'a"b,c', scope: 'x y' }]]],
    ['Bearer realm=https://h/t?a=1,service=s', [['bearer', { realm: 'https://h/t?a=1', service: 's' }]]],
    ['Bearer realm="u" service="s" scope="c"', [['bearer', { realm: 'u', service: 's', scope: 'c' }]]],
    ['Bearer realm="u', [['bearer', { realm: 'u' }]]],
    ['Bearer realm="u",realm="v",', [['bearer', { realm: 'u' }]]],
    ['Bearer realm="", error="x"', [['bearer', { realm: '', error: 'x' }]]],
    [
      'Negotiate YQ==,Basic realm="r"',
      [
        ['negotiate', {}],
        ['basic', { realm: 'r' }],
      ],
    ],
    [
      'Basic realm="r" Bearer realm="u"',
      [
        ['basic', { realm: 'r' }],
        ['bearer', { realm: 'u' }],
      ],
    ],
    ['realm="lost", "=", Basic', [['basic', {}]]],
    ['Bearer __proto__="x"', [['bearer', Object.fromEntries([['__proto__', 'x']])]]],
  ];
  for (const [header, expected] of cases) t.strictSame(read(header), expected, header);
  const started = performance.now();
  for (const hostile of ['a="\\', 'a ', '"', 'a=', ',='].map((part) => part.repeat(100_000)))
    parseChallenges(hostile);
  t.ok(performance.now() - started < 2000, 'hostile headers take no longer than their length');
  t.end();
});
