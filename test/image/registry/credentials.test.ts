// SPDX-License-Identifier: MIT
/** Passwords of every tool that keeps any: files of all ages, helpers that work and that do not. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import t, { type Test } from 'tap';
import { findCredentials } from '../../../lib/image/credentials/credentials.js';
import { scratch } from '../../support/ground.js';
import { type Cli, storeCli } from '../../support/images.js';
import { OddRegistry, send } from '../../support/odd-registry.js';

const encode = (text: string): string => Buffer.from(text).toString('base64');
const auth = (text: string): object => ({ auth: encode(text) });

function write(path: string, content: unknown): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
}

/** A home in which nothing is; the environment is the test's own. */
function ownHome(t: Test): string {
  const base = scratch(t);
  const before = { ...process.env };
  const changed: Record<string, string | undefined> = {
    HOME: base,
    XDG_RUNTIME_DIR: join(base, 'run'),
    XDG_CONFIG_HOME: undefined,
    DOCKER_CONFIG: undefined,
    DOCKER_AUTH_CONFIG: undefined,
    REGISTRY_AUTH_FILE: undefined,
    PATH: `${base}/bin:${process.env.PATH}`,
  };
  const set = (values: Record<string, string | undefined>): void => {
    for (const name of Object.keys(changed)) {
      if (values[name] === undefined) delete process.env[name];
      else process.env[name] = values[name];
    }
  };
  set(changed);
  t.teardown(() => set(before));
  return base;
}

t.test('a registry has the password of each key under which a tool has kept it', async (t) => {
  const base = ownHome(t);
  const kept = async (key: string, domain: string, repository?: string): Promise<string | undefined> => {
    write(join(base, '.docker/config.json'), {
      auths: { 'other.test': auth('x:y'), [key]: auth('ann:pass') },
    });
    return (await findCredentials(domain, repository))?.username;
  };
  const H = 'reg.test:5000';
  for (const key of [
    H,
    `http://${H}`,
    `https://${H}`,
    `https://${H}/`,
    `https://${H}/v1/`,
    `https://${H}/v2/`,
    `http://${H}/v2`,
    `${H}/`,
    `${H}/v1/`,
    `${H}/team`,
    'Reg.Test:5000',
  ])
    t.equal(await kept(key, H), 'ann', key);
  for (const key of ['reg.test', 'reg.test:500', 'xreg.test:5000', `${H}0`, 'https://reg.test/v1/', ''])
    t.equal(await kept(key, H), undefined, key);
  for (const key of [
    'https://index.docker.io/v1/',
    'index.docker.io',
    'docker.io',
    'https://registry-1.docker.io/v2/',
  ])
    t.equal(await kept(key, 'docker.io', 'library/web'), 'ann', key);
  t.equal(await kept('[::1]:5000', '[::1]:5000'), 'ann');
});

t.test('of several keys the closest to the repository counts', async (t) => {
  const base = ownHome(t);
  const auths = {
    'https://q.test/v2/': auth('url:p'),
    'q.test/team': auth('team:p'),
    'q.test/team/app': auth('app:p'),
    'q.test': auth('host:p'),
  };
  const who = async (repository: string): Promise<string | undefined> =>
    (await findCredentials('q.test', repository))?.username;
  write(join(base, 'run/containers/auth.json'), { auths });
  t.strictSame(await Promise.all(['team/app', 'team/app2', 'team', 'teams', 'other'].map(who)), [
    'app',
    'team',
    'team',
    'host',
    'host',
  ]);
  write(join(base, 'run/containers/auth.json'), { auths: { 'q.test/team': auth('team:p') } });
  t.equal(await who('other'), undefined, "a namespace of Podman's is not the whole host");
});

t.test('files of Podman and older ones of Docker are read, in their order', async (t) => {
  const base = ownHome(t);
  const who = async (): Promise<string | undefined> => (await findCredentials('r.test'))?.username;
  const file = (name: string): object => ({ auths: { 'r.test': auth(`${name}:p`) } });
  t.equal(await who(), undefined);
  write(join(base, '.dockercfg'), { 'https://r.test/v1/': auth('oldest:p') });
  t.equal(await who(), 'oldest');
  write(join(base, '.config/containers/auth.json'), file('config'));
  t.equal(await who(), 'config');
  write(join(base, 'run/containers/auth.json'), file('runtime'));
  t.equal(await who(), 'runtime');
  write(join(base, '.docker/config.json'), { auths: { 'r.test': {} } });
  t.equal(await who(), 'runtime', 'an entry that is empty says nothing');
  write(join(base, '.docker/config.json'), `\uFEFF${JSON.stringify(file('docker'))}`);
  t.equal(await who(), 'docker');
  process.env.DOCKER_CONFIG = '';
  t.equal(await who(), 'docker', 'a variable that is empty is not set');
  write(join(base, 'named'), file('named'));
  process.env.REGISTRY_AUTH_FILE = join(base, 'named');
  t.equal(await who(), 'named');
  process.env.DOCKER_AUTH_CONFIG = JSON.stringify(file('inline'));
  t.equal(await who(), 'inline');
});

t.test('a file that is damaged is refused in words', async (t) => {
  const base = ownHome(t);
  const path = join(base, '.docker/config.json');
  for (const [content, message] of [
    ['{', /config.json: it is not JSON/],
    ['[]', /config.json: it is no JSON object/],
    ['null', /config.json: it is no JSON object/],
    ['{"auths":[]}', /config.json: auths is no object/],
    ['{"credHelpers":"x"}', /config.json: credHelpers is no object/],
    [{ auths: { 'r.test': auth('nocolon') } }, /auth of r.test is no name and password/],
    [{ auths: { 'r.test': auth(':p') } }, /auth of r.test is no name and password/],
  ] as const) {
    write(path, content);
    await t.rejects(findCredentials('r.test'), { message });
  }
  for (const content of [
    '',
    '{}',
    '{"auths":null}',
    '{"auths":{"r.test":null}}',
    '{"auths":{"r.test":{"auth":7}}}',
  ]) {
    write(path, content);
    t.equal(await findCredentials('r.test'), undefined, content);
  }
});

/** Makes a helper that runs a shell script. */
function helper(base: string, script: string, mode = 0o755): void {
  const path = join(base, 'bin/docker-credential-test');
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, `#!/bin/sh\n${script}\n`, { mode });
}

t.test('a helper is asked by each name under which it may know a registry', async (t) => {
  const base = ownHome(t);
  const answer = '{"ServerURL":"x","Username":"ann","Secret":"s"}';
  helper(
    base,
    `read s; echo $s >> ${base}/asked; [ "$s" = https://r.test/v1/ ] && echo '${answer}' && exit 0
     echo 'credentials not found in native keychain'; exit 1`,
  );
  write(join(base, '.docker/config.json'), { auths: { 'https://r.test/v1/': {} }, credsStore: 'test' });
  t.match(await findCredentials('r.test'), {
    username: 'ann',
    password: 's',
    from: 'docker-credential-test',
  });
  t.equal(await findCredentials('other.test'), undefined);
  write(join(base, '.docker/config.json'), { credHelpers: { 'https://r.test': 'test' }, credsStore: 'none' });
  t.equal(await findCredentials('r.test'), undefined, 'the helper of the host counts before the one of all');
  helper(base, `echo '{"Username":"<token>","Secret":"R"}'`);
  t.match(await findCredentials('r.test'), { identityToken: 'R' });
});

t.test(
  'a helper that gives nothing, or nothing that can be used, is told from one that has no password',
  async (t) => {
    const base = ownHome(t);
    write(join(base, '.docker/config.json'), { credsStore: 'test' });
    await t.rejects(findCredentials('r.test'), {
      message:
        /docker-credential-test: the program is not installed; install it, or take it out of .*config.json/,
    });
    const cases: [script: string, message: RegExp][] = [
      ['exit 0', /test: it answered nothing/],
      ['echo no JSON', /test: its answer is not JSON/],
      ['echo null', /test: its answer has no Username and Secret/],
      [`echo '{"Username":1,"Secret":"s"}'`, /has no Username and Secret/],
      [`echo '{"Username":"","Secret":"s"}'`, /gave a password without a name/],
      ['echo the keychain is locked; exit 1', /test: the keychain is locked$/],
      ['echo the keychain is locked >&2; exit 1', /test: the keychain is locked$/],
      ['exit 3', /test: it ended with 3/],
      ['kill -9 $$', /test: it ended with SIGKILL/],
      ['head -c 2000000 /dev/zero', /wrote more than 1048576 bytes/],
    ];
    for (const [script, message] of cases) {
      helper(base, script);
      await t.rejects(findCredentials('r.test'), { message }, script);
    }
    for (const script of [
      'echo credentials not found in native keychain; exit 1',
      'echo Error: Credentials Not Found >&2; exit 1',
      `echo '{"Username":"","Secret":""}'`,
    ]) {
      helper(base, script);
      t.equal(await findCredentials('r.test'), undefined, script);
    }
    write(join(base, '.docker/config.json'), { credsStore: '../x' });
    await t.rejects(findCredentials('r.test'), { message: /that is no name of a program/ });
  },
);

t.test('a password that cannot be had is no matter until one is needed', async (t) => {
  let isOpen = true;
  const registry: OddRegistry = await OddRegistry.start(t, ({ url, headers }, response, pass) => {
    if (url.startsWith('/token')) return void send(response, isOpen ? 200 : 401, '{"token":"T"}');
    if (headers.authorization === 'Bearer T') return pass();
    const challenge = `Bearer realm="http://${registry.host}/token"`;
    response.writeHead(401, { 'www-authenticate': challenge }).end();
  });
  registry.image('app', '1');
  const cli: Cli = storeCli(t);
  write(join(cli.environment.DOCKER_CONFIG, 'config.json'), { credsStore: 'absent' });
  await cli.ok('pull', '-q', `${registry.host}/app:1`);
  isOpen = false;
  t.match(await cli.run('pull', `${registry.host}/app:1`), {
    status: 1,
    stderr: /docker-credential-absent: the program is not installed/,
  });
});

t.test('a mirror gets the password that is kept for it, and not the one of Docker Hub', async (t) => {
  const mirror = await OddRegistry.start(t, ({ headers }, response, pass) => {
    if (headers.authorization === `Basic ${encode('mirror:p')}`) return pass();
    response.writeHead(401, { 'www-authenticate': 'Basic realm="x"' }).end();
  });
  mirror.image('library/web', '1');
  const cli: Cli = storeCli(t);
  write(cli.environment.TSOVERLAY_CONFIG, { 'registry-mirrors': [`http://${mirror.host}`] });
  write(join(cli.environment.DOCKER_CONFIG, 'config.json'), {
    auths: { 'https://index.docker.io/v1/': auth('hub:p'), [mirror.host]: auth('mirror:p') },
  });
  await cli.ok('pull', '-q', 'web:1');
  t.notOk(mirror.seen.some(({ headers }) => headers.authorization === `Basic ${encode('hub:p')}`));
});
