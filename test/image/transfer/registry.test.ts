// SPDX-License-Identifier: MIT
/** Pull and push with a real registry: with and without a password, by mirrors, with content that is there already. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { run, scratch, shell } from '../../support/ground.js';
import { describeTree, makeLayout, storeCli } from '../../support/images.js';
import { pushWithSkopeo, startProxy, startRegistry } from '../../support/registry.js';

t.test('an image of umoci, pushed by skopeo, is pulled, mounted and the same tree', async (t) => {
  const base = scratch(t);
  const layout = makeLayout(base);
  const { host, requests } = await startRegistry(t, base);
  pushWithSkopeo(layout, host, 'team/app:1');
  const cli = storeCli(t, base);
  const name = `${host}/team/app:1`;
  t.match(
    await cli.ok('pull', name),
    new RegExp(`Digest: sha256:[0-9a-f]{64}\nStatus: Downloaded newer image for ${name}\n${name}\n`),
  );
  run('umoci', 'unpack', '--image', `${layout}:latest`, join(base, 'expected'));
  mkdirSync(join(base, 'merged'));
  await cli.ok('mount', '--image', name, 'merged');
  t.teardown(() => shell(`umount ${base}/merged 2>/dev/null || true`));
  t.equal(describeTree(join(base, 'merged')), describeTree(join(base, 'expected/rootfs')));
  t.throws(() => writeFileSync(join(base, 'merged/x'), ''), { code: 'EROFS' });
  await cli.ok('unmount', 'merged');
  const before = requests().length;
  t.match(await cli.ok('pull', name), /Image is up to date/);
  const again = requests().slice(before);
  t.ok(again.some((line) => line.includes('/manifests/1')));
  t.notOk(
    again.some((line) => line.includes('/blobs/')),
    'no layer and no configuration is asked for again',
  );
  const digest = /Digest: (\S+)/.exec(await cli.ok('pull', name))![1];
  t.match(await cli.ok('pull', '-q', `${host}/team/app@${digest}`), digest);
  t.match(
    await cli.ok('inspect', '--format', '{{index .RepoDigests "0"}}', name),
    `${host}/team/app@${digest}`,
  );
});

t.test('a push gives the registry what it lacks, and mounts what another repository has', async (t) => {
  const base = scratch(t);
  const { host, requests } = await startRegistry(t, base);
  pushWithSkopeo(makeLayout(base), host, 'from:1');
  const cli = storeCli(t, base);
  await cli.ok('pull', '-q', `${host}/from:1`);
  await cli.ok('tag', `${host}/from:1`, `${host}/to/there:2`);
  const pushed = await cli.run('push', `${host}/to/there:2`);
  t.match(pushed.stderr, /Mounted from from/);
  t.match(pushed.stdout, /^2: digest: sha256:[0-9a-f]{64}\n$/);
  t.notOk(
    requests().some((line) => /^PUT .*to\/there\/blobs/.test(line)),
    'no blob travelled',
  );
  t.match((await cli.run('push', `${host}/to/there:2`)).stderr, /Layer already exists/);
  const other = await startRegistry(t, base);
  await cli.ok('tag', `${host}/from:1`, `${other.host}/far:1`);
  t.match((await cli.run('push', `${other.host}/far:1`)).stderr, /Pushed/);
  t.equal(
    run('skopeo', 'inspect', '--tls-verify=false', '--format', '{{.Digest}}', `docker://${other.host}/far:1`),
    run('skopeo', 'inspect', '--tls-verify=false', '--format', '{{.Digest}}', `docker://${host}/from:1`),
  );
  t.equal(await cli.ok('search', host), 'from\nto/there\n');
  t.equal(await cli.ok('search', '--tags', `${host}/to/there`), '2\n');
  t.equal(await cli.ok('search', host, 'fro'), 'from\n');
  t.match(await cli.run('push', (await cli.ok('images', '-q')).split('\n')[0]), {
    status: 1,
    stderr: /an id says nothing of where/,
  });
});

t.test(
  'a password for a registry comes from a file or a helper, and is refused when it is wrong or missing',
  async (t) => {
    const base = scratch(t);
    const access = { username: 'ann', password: 'se:cret' };
    const { host } = await startRegistry(t, base, { access });
    pushWithSkopeo(makeLayout(base), host, 'app:1', 'ann:se:cret');
    const cli = storeCli(t, base);
    mkdirSync(join(base, 'docker'));
    const login = (config: object): void =>
      writeFileSync(join(base, 'docker/config.json'), JSON.stringify(config));
    t.match(await cli.run('pull', `${host}/app:1`), {
      status: 1,
      stderr: /asks for a name and a password; put a name and password for it into .*docker\/config.json/,
    });
    login({ auths: { [host]: { auth: Buffer.from('ann:wrong').toString('base64') } } });
    t.match(await cli.run('pull', `${host}/app:1`), {
      status: 1,
      stderr: /not authorized \(401.*; the ones in .* are wrong/,
    });
    login({ auths: { [host]: { auth: 'bm9jb2xvbg==' } } });
    t.match(await cli.run('pull', `${host}/app:1`), { status: 1, stderr: /no name and password in base64/ });
    login({ auths: { [host]: { auth: Buffer.from('ann:se:cret').toString('base64') } } });
    await cli.ok('pull', '-q', `${host}/app:1`);
    mkdirSync(join(base, 'bin'));
    const helper = join(base, 'bin/docker-credential-test');
    writeFileSync(
      helper,
      `#!/bin/sh\nread server; echo "$1 $server" > ${base}/asked; echo '{"ServerURL":"x","Username":"ann","Secret":"se:cret"}'\n`,
      { mode: 0o755 },
    );
    login({ credHelpers: { [host]: 'test' } });
    t.match(await cli.run('pull', `${host}/app:1`), {
      status: 1,
      stderr: /docker-credential-test: the program is not installed/,
    });
    cli.environment.PATH = `${base}/bin:${process.env.PATH}`;
    await cli.ok('push', '-q', `${host}/app:1`);
    t.equal(shell(`cat ${base}/asked`), `get ${host}\n`);
    writeFileSync(join(base, 'docker/config.json'), '{');
    t.match(await cli.run('pull', `${host}/app:1`), { status: 1, stderr: /config.json: it is not JSON/ });
  },
);

t.test('on a terminal each layer has a line with a bar that is drawn over', async (t) => {
  const base = scratch(t);
  const { host } = await startRegistry(t, base);
  pushWithSkopeo(makeLayout(base), host, 'app:1');
  const cli = storeCli(t, base);
  const command = `stty rows 24 cols 80; ${process.cwd()}/bin/tsoverlay pull ${host}/app:1`;
  const { status, stdout } = spawnSync('script', ['-qec', command, '/dev/null'], {
    encoding: 'utf8',
    env: { ...process.env, ...cli.environment },
  });
  t.equal(status, 0, stdout);
  t.match(stdout, /[0-9a-f]{12}: \[=* *>? *\] [\d.]+k?B\/30\dkB/);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the terminal is told to go up and erase
  t.match(stdout, /\x1b\[2A\x1b\[J[0-9a-f]{12}: Pull complete\r\n[0-9a-f]{12}: Pull complete\r\n/);
});

t.test('mirrors are asked in order, and one that fails gives way to the next', async (t) => {
  const base = scratch(t);
  const { host } = await startRegistry(t, base);
  pushWithSkopeo(makeLayout(base), host, 'library/web:1');
  const cli = storeCli(t, base);
  const broken = await startProxy(t, host, (_message, response) => response.writeHead(404).end());
  const working = await startProxy(t, host, (_message, _response, pass) => pass());
  const configure = (mirrors: string[]): void =>
    writeFileSync(cli.environment.TSOVERLAY_CONFIG, JSON.stringify({ 'registry-mirrors': mirrors }));
  configure([`http://${broken.host}`, 'http://127.0.0.1:9', `http://${working.host}/`]);
  const pulled = await cli.run('pull', 'web:1');
  t.match(
    pulled.stderr,
    new RegExp(`mirror ${broken.host} does not have it(.|\\n)*mirror 127.0.0.1:9 failed: .*ECONNREFUSED`),
  );
  t.match(pulled, { status: 0, stdout: /docker.io\/library\/web:1\n$/ });
  t.ok(working.seen.every(({ line }) => line.includes('/v2/library/web/')));
  t.match(await cli.ok('images'), /^REPOSITORY +TAG.*\nweb +1 /);
});

t.test(
  'a certificate that nobody signed, and plain HTTP, are taken only where the configuration allows it',
  async (t) => {
    const base = scratch(t);
    const layout = makeLayout(base);
    const secret = await startRegistry(t, base, { tls: true });
    const plain = await startRegistry(t, base);
    pushWithSkopeo(layout, secret.host, 'app:1');
    pushWithSkopeo(layout, plain.host, 'app:1');
    const cli = storeCli(t, base);
    await cli.ok('pull', '-q', `${secret.host}/app:1`);
    // Loopback is always allowed; this spelling of it is not known as such.
    const elsewhere = (host: string): string => host.replace('127.0.0.1', '0x7f000001');
    t.match(await cli.run('pull', `${elsewhere(secret.host)}/app:1`), {
      status: 1,
      stderr:
        /its certificate is .* \(.*SELF_SIGNED.*\); put .*\/ca.crt, or if you trust it all the same, name it in insecure-registries of .*config.json/,
    });
    t.match(await cli.run('pull', `${elsewhere(plain.host)}/app:1`), {
      status: 1,
      stderr: /plain HTTP; if that is meant, name it in insecure-registries of .*config.json/,
    });
    const insecure = [elsewhere(secret.host), elsewhere(plain.host)];
    writeFileSync(cli.environment.TSOVERLAY_CONFIG, JSON.stringify({ 'insecure-registries': insecure }));
    for (const host of insecure) t.match(await cli.run('pull', '-q', `${host}/app:1`), { status: 0 }, host);
  },
);

t.test('a configuration that cannot be meant is named by its line', async (t) => {
  const cli = storeCli(t);
  const cases: [text: string, message: RegExp][] = [
    ['{\n  "registry-mirrors": [\n}', /config.json:3: .*JSON/],
    [
      '{\n  "registry-mirror": []\n}',
      /config.json:2: registry-mirror is not known; known are registry-mirrors and insecure-registries/,
    ],
    ['{"registry-mirrors":\n "x"}', /config.json:1: registry-mirrors must be a list of strings/],
    ['{\n\n"registry-mirrors": ["ftp://x"]}', /config.json:3: the mirror ftp:\/\/x is no http or https URL/],
    ['{\n"insecure-registries": ["a", "b/c"]}', /config.json:2: "b\/c" of insecure-registries is no host/],
    ['[]', /config.json:1: it must be a JSON object/],
  ];
  for (const [text, message] of cases) {
    writeFileSync(cli.environment.TSOVERLAY_CONFIG, text);
    t.match(await cli.run('pull', 'x'), { status: 1, stderr: message }, text);
  }
  rmSync(cli.environment.TSOVERLAY_CONFIG);
  t.match(await cli.run('pull', 'x'), { status: 1, stderr: /config.json: ENOENT/ });
});

t.test('what is not there is said, and nothing is kept', async (t) => {
  const base = scratch(t);
  const { host } = await startRegistry(t, base);
  pushWithSkopeo(makeLayout(base), host, 'app:1');
  const cli = storeCli(t, base);
  t.match(await cli.run('pull', `${host}/app:2`), {
    status: 1,
    stderr: /has no such image \(MANIFEST_UNKNOWN: manifest unknown\); see whether name and tag are right/,
  });
  t.match(await cli.run('pull', `${host}/none`), { status: 1, stderr: /has no such image/ });
  t.match(await cli.run('pull', '127.0.0.1:9/app'), {
    status: 1,
    stderr: /127.0.0.1:9: it cannot be reached \(ECONNREFUSED\)/,
  });
  t.match(await cli.run('pull', 'Bad/Name'), { status: 2, stderr: /no image name: it must be lower case/ });
  t.match(await cli.run('pull', '--all-tags', `${host}/none`), { status: 1, stderr: /no such repository/ });
  t.equal(await cli.ok('images', '-q'), '');
  t.match(await cli.ok('system', 'check'), /nothing is wrong/);
  t.equal(await cli.ok('pull', '-q', '-a', `${host}/app`), `${host}/app:1\n`);
});

t.test('of an index the manifest for the platform is taken', async (t) => {
  const base = scratch(t);
  const { host } = await startRegistry(t, base);
  const layout = makeLayout(base);
  shell(
    `export STORAGE_DRIVER=vfs; B="buildah --root ${base}/bs --runroot ${base}/br"
     $B manifest create list >/dev/null; for a in amd64 arm64; do c=$($B from --arch $a scratch); $B config --arch $a --label a=$a $c; $B commit -q --manifest list $c >/dev/null; done
     $B manifest push --all --tls-verify=false list docker://${host}/multi:1 >/dev/null 2>&1; $B rm -a >/dev/null; rm -rf ${layout}`,
  );
  t.teardown(() => shell(`rm -rf ${base}/bs ${base}/br`));
  const cli = storeCli(t, base);
  await cli.ok('pull', '-q', '--platform', 'linux/arm64', `${host}/multi:1`);
  t.equal(
    await cli.ok('inspect', '--format', '{{.Architecture}} {{.Config.Labels.a}}', `${host}/multi:1`),
    'arm64 arm64\n',
  );
  await cli.ok('pull', '-q', '--platform', 'linux/amd64', `${host}/multi:1`);
  t.equal(
    await cli.ok('inspect', '--format', '{{.Architecture}} {{.Config.Labels.a}}', `${host}/multi:1`),
    'amd64 amd64\n',
  );
  t.match(await cli.run('pull', '--platform', 'linux/s390x', `${host}/multi:1`), {
    status: 1,
    stderr: /none for linux\/s390x; choose another with --platform: linux\/amd64, linux\/arm64/,
  });
});
