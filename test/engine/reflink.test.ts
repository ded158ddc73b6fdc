// SPDX-License-Identifier: MIT
/** Copy-up where the file system can share data: btrfs and XFS on loop devices. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { makeLayers, run, scratch, shell } from '../support/ground.js';
import { open } from '../support/overlay.js';

const MAKERS: Record<string, string[]> = {
  btrfs: ['mkfs.btrfs', '-q'],
  xfs: ['mkfs.xfs', '-q', '-m', 'reflink=1'],
};

for (const [type, [program, ...options]] of Object.entries(MAKERS)) {
  t.test(`on ${type} a copied-up file shares its data with the lower one`, async (t) => {
    const base = scratch(t);
    const image = join(base, 'image');
    const ground = join(base, 'ground');
    mkdirSync(ground);
    run('truncate', '-s', '400M', image);
    run(program, ...options, image);
    run('mount', '-t', type, '-o', 'loop', image, ground);
    t.teardown(() => run('umount', ground));
    const layers = makeLayers(ground, 1);
    shell('dd if=/dev/urandom of=big bs=1M count=64 status=none; sync', layers.lowers[0]);
    const overlay = await open(t, layers);
    await overlay.write('/big', 'X', 1);
    await overlay.close();
    const upper = join(layers.upper, 'big');
    run('sync', upper);
    t.match(run('filefrag', '-v', upper), /shared/, 'extents are shared');
    const differing = Number(shell(`cmp -l ${upper} ${layers.lowers[0]}/big | wc -l || true`));
    t.ok(differing <= 1, `${differing} bytes differ`);
    t.equal(run('stat', '-c', '%s', upper), `${64 << 20}\n`);
  });
}
