// SPDX-License-Identifier: MIT
/** Containers and builds are told of the proxies that Docker's configuration has for them (docker/cli, configfile). */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { Builder } from '../support/builds.js';
import { boxCli } from '../support/containers.js';
import type { Cli } from '../support/images.js';

const FULL = {
  httpProxy: 'http://ann:pass@p.test:1',
  httpsProxy: 'http://p.test:2',
  ftpProxy: 'p.test:3',
  noProxy: '.test,10.0.0.0/8',
  allProxy: 'socks5://p.test:4',
};
const VARIABLES = [
  'ALL_PROXY=socks5://p.test:4',
  'FTP_PROXY=p.test:3',
  'HTTPS_PROXY=http://p.test:2',
  'HTTP_PROXY=http://ann:pass@p.test:1',
  'NO_PROXY=.test,10.0.0.0/8',
];
const lower = (texts: readonly string[]): string[] =>
  texts.map((text) => text.replace(/^\w+/, (name) => name.toLowerCase()));
const BOTH = [...VARIABLES, ...lower(VARIABLES)].sort();

/** What a program writes that prints its environment. */
const proxiesIn = (said: string): string[] =>
  said
    .split('\n')
    .filter((line) => /^\w+_proxy=/i.test(line))
    .sort();

async function prepare(t: Test): Promise<{ cli: Cli; configure(proxies: unknown): void }> {
  const cli = await boxCli(t);
  // Those of whoever runs the tests are no part of them.
  for (const name of ['DOCKER_HOST', 'HTTP_PROXY']) delete process.env[name];
  mkdirSync(cli.environment.DOCKER_CONFIG);
  const configure = (proxies: unknown): void =>
    writeFileSync(join(cli.environment.DOCKER_CONFIG, 'config.json'), JSON.stringify({ proxies }));
  return { cli, configure };
}

t.test('a container has the proxies of Docker’s configuration in both spellings', async (t) => {
  const { cli, configure } = await prepare(t);
  const env = async (...options: string[]): Promise<string[]> =>
    proxiesIn(await cli.ok('run', '--rm', '--network', 'none', ...options, 'box', 'env'));
  t.strictSame(await env(), []);
  configure({ default: FULL });
  t.strictSame(await env(), BOTH);
  t.strictSame(
    await env('-e', 'HTTP_PROXY=mine', '-e', 'no_proxy='),
    [...BOTH.filter((text) => !/^(HTTP_PROXY|no_proxy)=/.test(text)), 'HTTP_PROXY=mine', 'no_proxy='].sort(),
    'what is given counts instead, each spelling for itself',
  );
  writeFileSync(join(cli.base, 'env'), 'http_proxy=file\n');
  t.strictSame(
    await env('--env-file', join(cli.base, 'env'), '-e', 'HTTP_PROXY'),
    [...BOTH.filter((text) => !/^http_proxy=/i.test(text)), 'http_proxy=file'].sort(),
    'also from a file, and a variable that is to be away',
  );
  configure({ default: FULL, 'tcp://daemon.test:2376': { httpProxy: 'p.test:9' }, 'unix:///s': null });
  cli.environment.DOCKER_HOST = 'tcp://daemon.test:2376';
  t.strictSame(await env(), ['HTTP_PROXY=p.test:9', 'http_proxy=p.test:9'], 'those of a daemon go alone');
  cli.environment.DOCKER_HOST = 'tcp://other.test:2376';
  t.strictSame(await env(), BOTH);
  cli.environment.DOCKER_HOST = 'unix:///s';
  t.strictSame(await env(), []);
  cli.environment.DOCKER_HOST = '';
  configure({ default: FULL, 'unix:///var/run/docker.sock': { noProxy: '', allProxy: null } });
  t.strictSame(await env(), [], 'where no daemon is named it is the usual one');
});

t.test('proxies that cannot be meant are refused by their place', async (t) => {
  const { cli, configure } = await prepare(t);
  for (const [proxies, reason] of [
    [[], 'proxies is no object'],
    [{ default: 'http://p.test' }, 'proxies.default is no object'],
    [{ default: { httpProxy: 1 } }, 'proxies.default.httpProxy is no text'],
    [{ default: { noProxy: ['a'] } }, 'proxies.default.noProxy is no text'],
    [{ default: { allProxy: 'a\0b' } }, 'proxies.default.allProxy is no text'],
  ] as const) {
    configure(proxies);
    const stderr = `read ${join(cli.environment.DOCKER_CONFIG, 'config.json')}: ${reason}`;
    t.match(await cli.run('run', '--rm', 'box', 'true'), { status: 125, stderr });
  }
});

t.test('every RUN has them, and neither key nor history do until an ARG asks for one', async (t) => {
  const { cli, configure } = await prepare(t);
  const builder = await Builder.make(t, cli);
  const dockerfile = 'FROM box\nRUN env > /seen\n';
  const seen = async (...args: string[]): Promise<string[]> => {
    await builder.ok(dockerfile, {}, '--no-cache', ...args);
    configure({});
    return proxiesIn(await builder.say('cat', '/seen'));
  };
  configure({ default: FULL });
  t.strictSame(await seen(), BOTH);
  t.notMatch(await cli.ok('history', '--no-trunc', 'built'), /p\.test/);
  t.notMatch(JSON.stringify(await builder.config()), /p\.test/);
  t.match(await builder.ok(dockerfile), /CACHED/, 'without them it is the same step');
  configure({ default: { httpProxy: 'config', httpsProxy: 'config' } });
  t.strictSame(
    await seen('--build-arg', 'http_proxy=mine', '--build-arg', 'HTTPS_PROXY=', '--build-arg', 'no_proxy=x'),
    ['HTTP_PROXY=mine', 'NO_PROXY=x', 'http_proxy=mine', 'no_proxy=x'],
    'what is given in one spelling counts for both, and what is empty is away',
  );
  const asking = 'FROM box\nARG HTTP_PROXY\nRUN echo "$HTTP_PROXY" > /seen\n';
  configure({ default: { httpProxy: 'http://one.test' } });
  await builder.ok(asking);
  t.match(await cli.ok('history', '--no-trunc', 'built'), /HTTP_PROXY=http:\/\/one\.test/);
  configure({ default: { httpProxy: 'http://two.test' } });
  t.notMatch(await builder.ok(asking), /CACHED/);
  t.equal(await builder.say('cat', '/seen'), 'http://two.test\n');
});
