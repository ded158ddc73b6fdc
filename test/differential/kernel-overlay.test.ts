// SPDX-License-Identifier: MIT
/**
 * The kernel's overlayfs is the oracle: the same random sequences of operations
 * go to a kernel overlay and to ours over the same lower layers, and every
 * answer, the resulting trees and the two upper directories are compared. Then each
 * mounts what the other left, and both mount an upper as a lower layer, and go on.
 *
 * DIFFERENTIAL_RUNS sets the number of sequences, DIFFERENTIAL_SEED repeats a run.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import type { MountOptions } from '../../lib/mount/mount.js';
import { checkLayer } from '../../lib/overlay/check.js';
import { Marks } from '../../lib/overlay/marks.js';
import { openUnion } from '../../lib/overlay/open.js';
import * as files from '../../lib/sys/files.js';
import { type Layers, makeLayers, mountOurs, run, scratch, shell } from '../support/ground.js';
import { apply, type Operation, operation } from '../support/operations.js';
import { snapshot } from '../support/snapshot.js';

const runs = Number(process.env.DIFFERENTIAL_RUNS ?? 100);
const seed = Number(process.env.DIFFERENTIAL_SEED ?? Date.now() % 2 ** 31);
/** Shrinking a failure takes fresh cases too. */
const CASES = runs + 400;

/** Three layers with every kind of overlap; the same in each case directory. */
const LAYERS = [
  `mkdir -p dir/sub; echo top > a; echo top-dir > dir/a; mknod b c 0 0; ln -s a c; setfattr -n user.one -v top a; mkdir sub; setfattr -n trusted.overlay.opaque -v y sub; echo new > sub/b; touch -d @1000 a`,
  `mkdir -p dir/sub sub dir/dir; echo mid > a; echo mid > b; echo mid-dir > dir/b; echo deep > dir/sub/c; echo hidden > sub/a; chmod 4755 dir/b; mknod dir/c c 0 0; ln dir/sub/c dir/sub/a; mkdir -p dir/long-name.txt; mkfifo sub/c`,
  `mkdir -p dir/sub/dir b c; echo low > dir/c; echo low > dir/sub/b; echo low > b/a; dd if=/dev/zero of=long-name.txt bs=1k count=70 status=none; chown 1000:1000 long-name.txt; echo x > dir/sub/dir/a; setfattr -n trusted.two -v low dir/sub`,
];

function makeLowers(base: string): string[] {
  return LAYERS.map((script, index) => {
    const lower = join(base, `l${index}`);
    mkdirSync(join(lower, 'case0'), { recursive: true });
    shell(script, join(lower, 'case0'));
    shell(`for i in $(seq 1 ${CASES}); do cp -a case0 case$i; done`, lower);
    return lower;
  });
}

/** What the two may do differently without anybody seeing it through a mount. */
function comparable(name: string, value: string): string | undefined {
  return name === 'trusted.overlay.uuid' || name === 'trusted.overlay.protattr' ? undefined : value;
}

interface Flavour {
  options: string;
  ours: Partial<Omit<MountOptions, 'driver'>>;
}

const FLAVOURS: Flavour[] = [
  { options: 'redirect_dir=on,index=off,metacopy=off', ours: {} },
  { options: 'redirect_dir=off,index=off,metacopy=off', ours: { redirectDir: 'off' } },
  { options: 'redirect_dir=on,index=off,metacopy=on', ours: { metacopy: true } },
  { options: 'redirect_dir=on,index=on,metacopy=off', ours: { index: true } },
  { options: 'redirect_dir=on,index=on,metacopy=on', ours: { index: true, metacopy: true } },
];

/** One union by each implementation; the directories of the one may have been the other's before. */
interface Pair {
  kernel: Layers;
  ours: Layers;
}

/** Applies a sequence to one case directory of both, and compares every answer and the trees that come out. */
function compareCase({ kernel, ours }: Pair, name: string, sequence: readonly Operation[]): void {
  const roots = [kernel, ours].map(({ target }) => files.openPath(join(target, name), files.O_PATH));
  try {
    for (const [index, step] of sequence.entries()) {
      const [expected, actual] = roots.map((root) => apply(root, step));
      if (expected !== actual) {
        throw new Error(`step ${index} ${JSON.stringify(step)}: kernel ${expected}, ours ${actual}`);
      }
    }
    compare('merged tree', snapshot(join(kernel.target, name)), snapshot(join(ours.target, name)));
  } finally {
    for (const root of roots) files.close(root);
  }
}

/** Mounts both, runs `use`, and unmounts both. */
async function mounted(t: Test, pair: Pair, flavour: Flavour, use: () => void): Promise<void> {
  const { upper, work, lowers, target } = pair.kernel;
  const options = `lowerdir=${lowers.join(':')},upperdir=${upper},workdir=${work},${flavour.options},xino=auto`;
  run('mount', '-t', 'overlay', 'overlay', '-o', options, target);
  try {
    const live = await mountOurs(t, pair.ours, flavour.ours);
    use();
    await live.unmount();
  } finally {
    run('umount', '-l', target);
  }
}

/** Random sequences on the case directories from the first on. Without `shrink` a case may have a history. */
function explore(
  t: Test,
  check: (name: string, sequence: Operation[]) => void,
  numRuns: number,
  shrink: boolean,
): void {
  let next = 0;
  const property = fc.property(fc.array(operation, { minLength: 5, maxLength: 60 }), (sequence) => {
    if (next >= CASES) throw new Error('no fresh case is left to shrink with');
    check(`case${next++}`, sequence);
  });
  const result = fc.check(property, { seed, numRuns, endOnFailure: !shrink });
  if (result.failed) {
    t.comment(`${result.errorInstance}`.replaceAll('\n', ' '));
    t.comment(JSON.stringify(result.counterexample));
  }
  t.equal(result.failed, false, 'the two agree');
  t.equal(result.numRuns, numRuns);
}

for (const flavour of FLAVOURS) {
  t.test(`random operations give what kernel overlayfs gives, ${flavour.options}`, async (t) => {
    t.comment(`seed ${seed}, ${runs} sequences`);
    const base = scratch(t);
    const lowers = makeLowers(base);
    const first: Pair = {
      kernel: { ...makeLayers(join(base, 'kernel'), 0), lowers },
      ours: { ...makeLayers(join(base, 'ours'), 0), lowers },
    };
    await mounted(t, first, flavour, () =>
      explore(
        t,
        (name, sequence) => {
          compareCase(first, name, sequence);
          // A change of an indexed file reaches us by its inode, not by the name that the kernel would link up.
          if (flavour.ours.index !== true) compareUppers(first, name, sequence);
        },
        runs,
        true,
      ),
    );

    const below = openUnion({ lowers });
    t.strictSame(
      checkLayer(first.ours.upper, below, new Marks(false), false),
      [],
      'fsck finds nothing in our upper',
    );
    below.close();

    await t.test('each goes on where the other left off', async (t) => {
      const swapped: Pair = { kernel: { ...first.ours }, ours: { ...first.kernel } };
      await mounted(t, swapped, flavour, () => {
        compare('the whole tree', snapshot(swapped.kernel.target), snapshot(swapped.ours.target));
        explore(t, (name, sequence) => compareCase(swapped, name, sequence), Math.ceil(runs / 3), false);
      });
    });

    await t.test('what was an upper is a lower layer of both', async (t) => {
      const rotated: Pair = {
        kernel: { ...makeLayers(join(base, 'kernel2'), 0), lowers: [first.ours.upper, ...lowers] },
        ours: { ...makeLayers(join(base, 'ours2'), 0), lowers: [first.ours.upper, ...lowers] },
      };
      await mounted(t, rotated, flavour, () => {
        compare('the whole tree', snapshot(rotated.kernel.target), snapshot(rotated.ours.target));
        explore(t, (name, sequence) => compareCase(rotated, name, sequence), Math.ceil(runs / 3), false);
      });
    });
  });
}

function compareUppers({ kernel, ours }: Pair, name: string, sequence: readonly Operation[]): void {
  const [expected, actual] = [kernel, ours].map(({ upper }) => uppersOf(join(upper, name)));
  const linked = sequence.some(({ op }) => op === 'link');
  compare('upper directory', expected, linked ? withoutExtraMarks(expected, actual) : actual);
}

/**
 * The one known difference: a hard link to a copied-up file makes the directory
 * impure with us, so that readdir and stat give one inode number there (the
 * kernel's ovl_link leaves the directory as it is).
 */
function withoutExtraMarks(expected: string[], actual: string[]): string[] {
  const bare = (line: string): string => line.replace(/ trusted\.overlay\.impure=79/, '');
  return actual.map((line) =>
    !expected.includes(line) && expected.includes(bare(line)) ? bare(line) : line,
  );
}

function uppersOf(path: string): string[] {
  try {
    return snapshot(path, { xattr: comparable });
  } catch (failure) {
    if (String(failure).includes('cannot open')) return ['nothing was changed'];
    throw failure;
  }
}

function compare(what: string, expected: string[], actual: string[]): void {
  const missing = expected.filter((line) => !actual.includes(line));
  const extra = actual.filter((line) => !expected.includes(line));
  if (missing.length + extra.length === 0) return;
  throw new Error(
    `${what} differs\n  kernel: ${missing.join('\n          ')}\n  ours:   ${extra.join('\n          ')}`,
  );
}

t.test('between every two steps both are mounted anew', async (t) => {
  t.comment(`seed ${seed}`);
  const base = scratch(t);
  const lowers = makeLowers(base);
  const pair: Pair = {
    kernel: { ...makeLayers(join(base, 'kernel'), 0), lowers },
    ours: { ...makeLayers(join(base, 'ours'), 0), lowers },
  };
  const flavour = FLAVOURS.at(-1)!;
  const sequence = fc.sample(operation, { seed, numRuns: Number(process.env.DIFFERENTIAL_REMOUNTS ?? 40) });
  for (const step of sequence) await mounted(t, pair, flavour, () => compareCase(pair, 'case0', [step]));
  t.pass(`${sequence.length} steps, each answered alike, with the same tree after each`);
});
