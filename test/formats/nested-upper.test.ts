// SPDX-License-Identifier: MIT
/**
 * Uppers on file systems that do not take all that a plain one does: on an overlayfs, on a
 * mount of ours, on one without attributes. UPPER_SEED repeats a run of random operations.
 */
import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { Marks } from '../../lib/overlay/formats/marks.js';
import { checkLayer } from '../../lib/overlay/inspect/check.js';
import { openUnion } from '../../lib/overlay/open/open.js';
import {
  type Layers,
  makeLayers,
  mountKernelOverlay,
  mountOurs,
  run,
  scratch,
  shell,
} from '../support/ground.js';
import { operation } from '../support/operations.js';
import { open } from '../support/overlay.js';
import { compare, compareCase, FLAVOURS, makeLowers, makePair, mounted } from '../support/pairs.js';
import { recordOf } from '../support/records.js';
import { snapshot } from '../support/snapshot.js';

const seed = Number(process.env.UPPER_SEED ?? Date.now() % 2 ** 31);
const RUNS = 8;

type Ground = 'overlayfs' | 'a mount of ours' | 'ramfs' | 'tmpfs';

/** A directory on a file system of that kind. */
async function groundOf(t: Test, base: string, kind: Ground): Promise<string> {
  const ground = join(base, 'ground');
  mkdirSync(ground);
  if (kind === 'tmpfs') return ground;
  if (kind === 'ramfs') {
    run('mount', '-t', 'ramfs', 'tsoverlay-test', ground);
    t.teardown(() => run('umount', '-l', ground));
    return ground;
  }
  const below = makeLayers(ground, 1);
  if (kind === 'overlayfs') mountKernelOverlay(t, below, 'index=off');
  else await mountOurs(t, below);
  return below.target;
}

/** Layers whose upper and work directory lie on such a file system. */
async function layersOnKind(t: Test, kind: Ground): Promise<Layers> {
  const base = scratch(t);
  const layers = makeLayers(base, 1);
  const { upper, work } = makeLayers(await groundOf(t, base, kind), 0);
  return { ...layers, upper, work };
}

for (const kind of ['overlayfs', 'a mount of ours'] as const) {
  t.test(`random operations give what kernel overlayfs gives, the upper on ${kind}`, async (t) => {
    t.comment(`seed ${seed}`);
    const base = scratch(t);
    const lowers = makeLowers(base, 3 * RUNS);
    const pair = makePair(base, lowers);
    const { upper, work } = makeLayers(await groundOf(t, base, kind), 0);
    pair.ours = { ...pair.ours, upper, work };
    let next = 0;
    const sequences = fc.array(operation, { minLength: 20, maxLength: 60 });
    const explore = (): void => {
      for (const sequence of fc.sample(sequences, { seed: seed + next, numRuns: RUNS }))
        compareCase(pair, `case${next++}`, sequence);
    };
    await mounted(t, pair, FLAVOURS[0], explore);
    await mounted(t, pair, FLAVOURS[0], () => {
      compare('the whole tree', snapshot(pair.kernel.target), snapshot(pair.ours.target));
      next = 0;
      explore();
    });
    const below = openUnion({ lowers });
    t.strictSame(checkLayer(upper, below, new Marks(false), false), [], 'fsck finds nothing');
    below.close();
  });
}

const CHANGES = `
  rm gone dir/gone; rm -r tree; mkdir tree; echo new > tree/new
  mv file moved; mv sub sub2; mv dir/x dir/y; ln dir/y again; rm removed; echo back > removed`;
const TREE = `
  mkdir -p dir tree/deep sub; echo 1 > gone; echo 2 > dir/gone; echo 3 > tree/deep/f
  echo 4 > file; echo 5 > sub/s; echo 6 > dir/x; echo 7 > removed`;
const RESULT = ['again', 'dir/y', 'moved', 'removed', 'sub2/s', 'tree/new'];
const filesIn = (directory: string): string[] =>
  shell("find . -type f -printf '%P\\n' | sort", directory).split('\n').filter(Boolean);

const EXPECTED = [
  { kind: 'tmpfs', form: 'device', options: {}, lacks: [] },
  { kind: 'overlayfs', form: 'attribute', options: {}, lacks: ['renameWhiteout', 'whiteoutDevices'] },
  {
    kind: 'overlayfs',
    form: 'attribute',
    options: { userxattr: true },
    lacks: ['renameWhiteout', 'whiteoutDevices'],
  },
  { kind: 'a mount of ours', form: 'attribute', options: {}, lacks: ['renameWhiteout', 'whiteoutDevices'] },
  {
    kind: 'ramfs',
    form: 'file',
    // Without redirects a directory of a lower layer is copied by mv.
    options: { redirectDir: 'off' },
    lacks: ['renameWhiteout', 'trustedAttributes', 'userAttributes'],
  },
] as const;

for (const { kind, form, options, lacks } of EXPECTED) {
  t.test(`removing, replacing and moving works with ${JSON.stringify(options)} on ${kind}`, async (t) => {
    const layers = await layersOnKind(t, kind);
    shell(TREE, layers.lowers[0]);
    const live = await mountOurs(t, layers, options);
    const { whiteoutForm, upperAbilities } = recordOf(layers.target);
    t.equal(whiteoutForm, form, 'the list of mounts says what was chosen');
    for (const ability of lacks) t.equal(upperAbilities![ability], false, `it lacks ${ability}`);
    shell(CHANGES, layers.target);
    t.strictSame(filesIn(layers.target), RESULT);
    await live.unmount();
    t.strictSame(readdirSync(join(layers.work, 'work')), [], 'the probe leaves nothing');
    const again = await open(t, layers, options);
    t.strictSame((await again.readdir('/')).sort(), ['again', 'dir', 'moved', 'removed', 'sub2', 'tree']);
    await again.close();
    if (form !== 'attribute' || 'userxattr' in options) return;
    // The upper as a lower layer of the kernel's own (overlayfs.rst, "Nested overlayfs mounts").
    const nested = { ...layers, lowers: [layers.upper, ...layers.lowers] };
    run('mount', '-t', 'overlay', 'none', '-o', `lowerdir=${nested.lowers.join(':')}`, layers.target);
    t.teardown(() => run('umount', '-l', layers.target));
    t.strictSame(filesIn(layers.target), RESULT, 'the kernel shows the same');
  });
}

t.test('an upper that cannot hold what is asked for is refused with the reason and the remedy', async (t) => {
  const layers = await layersOnKind(t, 'ramfs');
  const cases = [
    { options: { whiteout: 'overlay' }, message: /no trusted\.overlay\.\* attributes.*whiteout=overlay/ },
    { options: { metacopy: true }, message: /which metacopy=on needs.*leave out metacopy=on/ },
    { options: { index: true }, message: /which index=on needs.*leave out index=on/ },
    { options: { copyUp: 'lazy' }, message: /which copyup=lazy needs.*leave out copyup=lazy/ },
  ] as const;
  for (const { options, message } of cases) {
    await t.rejects(open(t, layers, options), { code: 'EOPNOTSUPP', message }, JSON.stringify(options));
  }
});

t.test('mount --debug says what the upper can do and how whiteouts are written', async (t) => {
  const { lowers, upper, work, target } = await layersOnKind(t, 'overlayfs');
  const said = shell(
    `program=${join(process.cwd(), 'bin/tsoverlay')}
     $program mount --debug --lower ${lowers[0]} --upper ${upper} --work ${work} ${target} 2>&1
     $program unmount ${target}`,
  );
  t.match(said, new RegExp(`upper ${upper}: whiteouts are written as attribute; it can: .*renameExchange`));
  t.match(said, /it cannot: .*whiteoutDevices/);
});
