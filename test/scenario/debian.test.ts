// SPDX-License-Identifier: MIT
/**
 * The reason for it all: a real Debian root file system over three layers, a
 * process that lives in it, apt-get install, and every change in the upper alone.
 *
 * @internet: installs Debian with debootstrap and apt
 */
import { cpSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import {
  makeLayers,
  mountKernelOverlay,
  mountOurs,
  run,
  runInside,
  scratch,
  shell,
} from '../support/ground.js';
import { snapshot } from '../support/snapshot.js';

const PACKAGE = 'git';

/** Everything that a layer is: names, types, owners, modes, times, attributes, content. */
function fingerprint(directory: string): string {
  return shell(
    "tar --sort=name --numeric-owner --xattrs --xattrs-include='*' --format=posix --pax-option=delete=atime,delete=ctime -cf - . | sha256sum",
    directory,
  ).trim();
}

/** Every directory is in all layers, every other file in one; names of one inode stay together. */
function cut(root: string, lowers: readonly string[]): void {
  for (const [index, lower] of lowers.entries()) {
    shell(
      `cp -a ${root}/. ${lower}/
       find ${lower} ! -type d -printf '%i %p\\0' > ${lower}.list
       cd ${root}; find . ! -type d -printf '%i %p\\0' | awk -v RS='\\0' -v ORS='\\0' '($1 % ${lowers.length}) != ${index} { print substr($0, index($0, " ") + 1) }' > ${lower}.remove
       cd ${lower}; xargs -0 -r rm -f < ${lower}.remove
       rm ${lower}.list ${lower}.remove`,
    );
  }
}

t.test(
  'a package is installed in a Debian root file system split over three layers',
  { timeout: 900_000 },
  async (t) => {
    const base = scratch(t);
    const root = join(base, 'root');
    const codename = /^VERSION_CODENAME=(\w+)/m.exec(readFileSync('/etc/os-release', 'utf8'))![1];
    run('debootstrap', '--variant=minbase', codename, root);
    const layers = makeLayers(base, 3);
    cut(root, layers.lowers);
    const before = layers.lowers.map(fingerprint);
    t.ok(new Set(before).size === 3, 'the three layers differ');

    const mounted = await mountOurs(t, layers);
    const { target } = layers;
    await t.test('the merged view is the root file system', async (t) => {
      t.equal(run('diff', '-r', '--no-dereference', join(root, 'etc'), join(target, 'etc')), '');
      t.strictSame(snapshot(join(target, 'usr')), snapshot(join(root, 'usr')));
    });

    await t.test('apt-get installs a package inside, and it runs', async (t) => {
      cpSync('/etc/resolv.conf', join(target, 'etc/resolv.conf'), { dereference: true });
      const inside = (script: string): string => runInside(target, script);
      inside('apt-get -q update');
      inside(`DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends ${PACKAGE}`);
      t.match(inside(`${PACKAGE} --version`), /^git version/);
      t.equal(inside('dpkg --verify'), '', 'every file is as its package says');
      t.equal(inside(`dpkg --audit`), '');
      inside(
        'mv /usr/share/doc /usr/share/documents; rm -r /usr/share/locale; chown -R daemon /usr/share/doc-base 2>/dev/null || true',
      );
    });

    const seen = snapshot(target);
    await mounted.unmount();

    await t.test('the lower layers are byte for byte what they were', async (t) => {
      t.strictSame(layers.lowers.map(fingerprint), before);
    });

    await t.test('the upper holds the changes, and little else', async (t) => {
      const size = Number(shell(`du -sk ${layers.upper} | cut -f1`));
      t.ok(size > 10_000 && size < 400_000, `${size} KiB`);
      t.equal(shell(`ls ${layers.work}/work`), '', 'nothing is left in the work directory');
      t.match(
        shell(`getfattr -n trusted.overlay.redirect ${layers.upper}/usr/share/documents`),
        /redirect="doc"/,
      );
    });

    await t.test('the kernel mounts what we wrote and shows the same', async (t) => {
      const oracle = { ...layers, target: join(base, 'oracle') };
      mkdirSync(oracle.target);
      mountKernelOverlay(t, oracle, 'redirect_dir=on,index=off,metacopy=off,xino=auto');
      t.strictSame(snapshot(oracle.target), seen);
    });

    await t.test('mounted again it is the same', async (t) => {
      const again = await mountOurs(t, layers);
      t.strictSame(snapshot(target), seen);
      await again.unmount();
    });
  },
);
