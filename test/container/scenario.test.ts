// SPDX-License-Identifier: MIT
/**
 * What containers are for: nginx on Debian, from a registry, run, fetched, logged,
 * stopped, started with its changes kept, committed, removed; by each runtime, and by
 * an ordinary user.
 *
 * @internet: installs Debian with debootstrap
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import {
  census,
  fetchPage,
  leftSince,
  ONE_CGROUP_VERSION,
  PROGRAM,
  page,
  removeAtEnd,
} from '../support/containers.js';
import { run, scratch, shell } from '../support/ground.js';
import { type Cli, storeCli } from '../support/images.js';
import { ordinaryCli } from '../support/ordinary-user.js';
import { startRegistry } from '../support/registry.js';

/** A Debian root file system with nginx from its packages, as an image in a registry. */
function pushNginx(base: string, name: string): void {
  const codename = /^VERSION_CODENAME=(\w+)/m.exec(readFileSync('/etc/os-release', 'utf8'))![1];
  const root = join(base, 'debian');
  run('debootstrap', '--variant=minbase', '--include=nginx-light', codename, root);
  const maker = `TSOVERLAY_ROOT=${base}/maker ${PROGRAM}`;
  shell(
    `rm -rf ${root}/var/cache/apt/archives/*.deb ${root}/usr/share/doc
     ln -sf /dev/stdout ${root}/var/log/nginx/access.log; echo 'Welcome to the test' > ${root}/var/www/html/index.html
     ${maker} import ${root} ${name} -c 'CMD ["nginx", "-g", "daemon off;"]' -c 'EXPOSE 80' -c 'STOPSIGNAL QUIT'
     ${maker} push ${name}`,
  );
}

async function scenario(t: Test, cli: Cli, name: string, ...options: string[]): Promise<void> {
  await cli.ok('pull', name);
  const before = census(cli);
  const id = (await cli.ok('run', '-d', '-p', '0:80', '--name', 'web', ...options, name)).trim();
  t.match(id, /^[0-9a-f]{64}$/);
  const url = async (): Promise<string> =>
    `http://127.0.0.1:${/:(\d+)$/m.exec(await cli.ok('port', 'web'))![1]}`;
  t.equal(await page(await url()), 'Welcome to the test\n');
  t.match(await cli.ok('logs', 'web'), /"GET \/ HTTP\/1\.1" 200/);
  t.match(await cli.ok('ps'), /"nginx -g daemon .*Up .*->80\/tcp +web/);
  t.match(await cli.ok('top', 'web'), /nginx: master process[\s\S]*nginx: worker process/);
  await cli.ok('exec', 'web', 'sh', '-c', 'echo kept > /var/www/html/kept.html; id -u > /var/www/html/id');
  t.equal(await page(`${await url()}/kept.html`), 'kept\n');
  t.equal(await cli.ok('stop', 'web'), 'web\n');
  t.match(await cli.ok('ps', '-a'), /Exited \(0\)/);
  t.equal(await cli.ok('ps', '-q'), '');
  await cli.ok('start', 'web');
  t.equal(await page(`${await url()}/kept.html`), 'kept\n', 'what was written is there after a restart');
  t.match(await cli.ok('diff', 'web'), /^A \/var\/www\/html\/kept\.html$/m);
  await cli.ok('commit', 'web', 'kept:1');
  const old = await url();
  await cli.ok('rm', '-f', 'web');
  t.equal(fetchPage(`${old}/kept.html`), '');
  await cli.ok('run', '-d', '-p', '0:80', '--name', 'web', ...options, 'kept:1');
  t.equal(await page(`${await url()}/kept.html`), 'kept\n', 'and in the image that was committed');
  t.equal(await page(`${await url()}/id`), '0\n');
  await cli.ok('rm', '-f', 'web');
  await cli.ok('rmi', 'kept:1');
  t.strictSame(await leftSince(before, cli), []);
}

t.test('nginx is pulled from a registry, serves, and is removed', { timeout: 900_000 }, async (t) => {
  const base = scratch(t);
  const registry = await startRegistry(t, base);
  const name = `${registry.host}/nginx:1`;
  pushNginx(base, name);

  for (const runtime of ['builtin', 'runc', 'crun']) {
    await t.test(`it serves as root, started by ${runtime}`, async (t) => {
      const cli = storeCli(t, scratch(t), 'store', runtime === 'crun' ? ONE_CGROUP_VERSION : [PROGRAM]);
      removeAtEnd(t, cli);
      await scenario(t, cli, name, '--runtime', runtime);
    });
  }

  for (const runtime of ['builtin', 'runc']) {
    await t.test(`it serves for an ordinary user, started by ${runtime}`, async (t) => {
      const cli = ordinaryCli(t);
      removeAtEnd(t, cli);
      await scenario(t, cli, name, '--runtime', runtime);
    });
  }

  await t.test('run pulls what is missing, and --pull never does not', async (t) => {
    const cli = storeCli(t, scratch(t));
    removeAtEnd(t, cli);
    t.match(await cli.run('run', '--rm', '--pull', 'never', name, 'true'), {
      status: 125,
      stderr: /no such image/,
    });
    const first = await cli.run('run', '--rm', name, 'nginx', '-t');
    t.match(first, { status: 0, stderr: /Unable to find image[\s\S]*test is successful/ });
    t.match(await cli.run('run', '--rm', `${registry.host}/none:1`, 'true'), { status: 125, stderr: /none/ });
  });
});
