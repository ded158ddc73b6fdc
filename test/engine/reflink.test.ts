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

t.test('btrfs subvolumes and snapshots are layers', async (t) => {
  const base = scratch(t);
  const ground = join(base, 'ground');
  shell(
    'mkdir ground; truncate -s 400M image; mkfs.btrfs -q image; mount -t btrfs -o loop image ground',
    base,
  );
  t.teardown(() => run('umount', ground));
  shell(
    `btrfs subvolume create -q low 2>/dev/null || btrfs subvolume create low; mkdir -p low/d upper work; echo one > low/d/f; echo x > low/g
     btrfs subvolume snapshot -r low snap; echo two > low/d/f; rm low/g`,
    ground,
  );
  const layers = {
    lowers: [join(ground, 'snap')],
    upper: join(ground, 'upper'),
    work: join(ground, 'work'),
    target: '',
  };
  const numbers = async (names: string[]): Promise<unknown[]> => {
    const overlay = await open(t, layers);
    const found = await Promise.all(
      names.map(async (name) => (await overlay.stat(name, { bigint: true })).ino),
    );
    await overlay.close();
    return found;
  };
  const before = await numbers(['/d', '/d/f', '/g']);
  t.equal(new Set(before).size, 3);
  const overlay = await open(t, layers);
  t.equal(await overlay.readFile('/d/f', 'utf8'), 'one\n');
  await overlay.appendFile('/d/f', 'more');
  await overlay.rename('/d', '/e');
  await overlay.close();
  t.strictSame(await numbers(['/e', '/e/f', '/g']), before, 'inode numbers stay');
  const both = await open(t, { ...layers, lowers: [join(ground, 'low'), join(ground, 'snap')] });
  t.equal(await both.readFile('/g', 'utf8'), 'x\n', 'a subvolume over its own snapshot');
  t.equal(await both.readFile('/e/f', 'utf8'), 'one\nmore');
});
