// SPDX-License-Identifier: MIT
/**
 * An image of several hundred MB as people have them: Debian with nginx and Python
 * installed by apt, made by Buildah, pulled from a real registry, mounted, run.
 *
 * @internet: installs Debian with debootstrap and apt
 */
import { cpSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { run, runInside, scratch, shell } from '../../support/ground.js';
import { storeCli } from '../../support/images.js';
import { startRegistry } from '../../support/registry.js';
import { snapshot } from '../../support/snapshot.js';

const MOST_MEMORY_KIB = 200 * 1024;

/** Runs a command and answers the most memory that it had resident, in KiB. */
function memoryOf(args: readonly string[], environment: Record<string, string>): number {
  const script =
    'import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL); print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)';
  const variables = Object.entries(environment).map(([name, value]) => `${name}=${value}`);
  return Number(run('env', ...variables, 'python3', '-c', script, ...args));
}

t.test(
  'Debian with nginx and Python comes from Buildah by a registry into a mount',
  { timeout: 900_000 },
  async (t) => {
    const base = scratch(t);
    const registry = await startRegistry(t, base);
    const buildah = `buildah --root ${base}/bs --runroot ${base}/br --storage-driver overlay`;
    const name = `${registry.host}/debian/web:1`;
    const codename = /^VERSION_CODENAME=(\w+)/m.exec(readFileSync('/etc/os-release', 'utf8'))![1];

    const container = shell(`${buildah} from scratch`).trim();
    t.teardown(() => shell(`${buildah} umount -a >/dev/null 2>&1; ${buildah} rm -a >/dev/null 2>&1; true`));
    const first = shell(`${buildah} mount ${container}`).trim();
    run('debootstrap', '--variant=minbase', codename, first);
    shell(`${buildah} commit -q ${container} base:1`);
    const second = shell(`${buildah} from base:1`).trim();
    const root = shell(`${buildah} mount ${second}`).trim();
    cpSync('/etc/resolv.conf', join(root, 'etc/resolv.conf'), { dereference: true });
    runInside(
      root,
      'apt-get -q update; DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends nginx-light python3; rm -rf /var/cache/apt/archives/*.deb /usr/share/doc/python3',
    );
    shell(
      `${buildah} config --cmd '["nginx", "-g", "daemon off;"]' --port 80 ${second}
     ${buildah} commit -q ${second} web:1; ${buildah} push -q --tls-verify=false web:1 docker://${name}`,
    );

    const cli = storeCli(t, base);
    const program = join(process.cwd(), 'bin/tsoverlay');
    const target = join(base, 'merged');
    mkdirSync(target);
    t.teardown(() => shell(`umount ${target} 2>/dev/null || true`));
    mkdirSync(join(base, 'upper'));
    mkdirSync(join(base, 'work'));

    await t.test('it is pulled within the memory that is promised', async (t) => {
      const pulled = memoryOf([program, 'pull', name], cli.environment);
      t.comment(`pull: ${Math.round(pulled / 1024)} MiB`);
      t.ok(pulled < MOST_MEMORY_KIB);
      t.match(JSON.parse(await cli.ok('inspect', name)), [
        { Config: { Cmd: ['nginx', '-g', 'daemon off;'], ExposedPorts: { '80': {} } } },
      ]);
      t.ok(JSON.parse(await cli.ok('inspect', name))[0].Size > 200_000_000);
    });

    await t.test('the mount shows what Buildah has', async (t) => {
      await cli.ok(
        'mount',
        '--image',
        name,
        '--upper',
        join(base, 'upper'),
        '--work',
        join(base, 'work'),
        target,
      );
      // No layer says what the root itself is like, so each tool has its own idea of that.
      t.strictSame(snapshot(target).slice(1), snapshot(root).slice(1));
      t.match(
        runInside(
          target,
          'nginx -t 2>&1; python3 -c "print(6 * 7)"; dpkg --verify nginx-light python3-minimal',
        ),
        /test is successful\n42\n$/,
      );
    });

    await t.test('a change is committed, saved, and loaded elsewhere', async (t) => {
      runInside(
        target,
        'echo hello > /var/www/html/index.html; rm -r /usr/share/man; mv /usr/share/nginx /usr/share/nginx-moved',
      );
      await cli.ok('commit', target, 'changed:1');
      const seen = snapshot(target);
      await cli.ok('unmount', target);
      const archive = join(base, 'changed.tar');
      await cli.ok('save', '-o', archive, 'changed:1');
      const other = storeCli(t, base, 'other');
      const loaded = memoryOf([program, 'load', '-i', archive], other.environment);
      t.comment(`load: ${Math.round(loaded / 1024)} MiB`);
      t.ok(loaded < MOST_MEMORY_KIB);
      await other.ok('mount', '--image', 'changed:1', target);
      const again = snapshot(target);
      await other.ok('unmount', target);
      t.strictSame(again, seen);
      t.match(await other.ok('system', 'check'), /^nothing is wrong\n$/);
    });
  },
);
