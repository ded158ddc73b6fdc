// SPDX-License-Identifier: MIT
/**
 * The kernel's overlayfs is the oracle: the same random sequences of operations
 * go to a kernel overlay and to ours over the same lower layers, and every
 * answer, the resulting trees and the two upper directories are compared. Then each
 * mounts what the other left, and both mount an upper as a lower layer, and go on.
 *
 * DIFFERENTIAL_RUNS sets the number of sequences, DIFFERENTIAL_SEED repeats a run.
 */
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { Marks } from '../../lib/overlay/formats/marks.js';
import { checkLayer } from '../../lib/overlay/inspect/check.js';
import { openUnion } from '../../lib/overlay/open/open.js';
import { scratch } from '../support/ground.js';
import { type Operation, operation } from '../support/operations.js';
import {
  compare,
  compareCase,
  compareUppers,
  FLAVOURS,
  makeLowers,
  makePair,
  mounted,
  OWN_FLAVOURS,
  type Pair,
} from '../support/pairs.js';
import { snapshot } from '../support/snapshot.js';

const runs = Number(process.env.DIFFERENTIAL_RUNS ?? 22);
const seed = Number(process.env.DIFFERENTIAL_SEED ?? Date.now() % 2 ** 31);
/** Shrinking a failure takes fresh cases too. */
const CASES = runs + 400;

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
    const lowers = makeLowers(base, CASES);
    const first = makePair(base, lowers);
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
      const rotated = makePair(base, [first.ours.upper, ...lowers], 'kernel2', 'ours2');
      await mounted(t, rotated, flavour, () => {
        compare('the whole tree', snapshot(rotated.kernel.target), snapshot(rotated.ours.target));
        explore(t, (name, sequence) => compareCase(rotated, name, sequence), Math.ceil(runs / 3), false);
      });
    });
  });
}

for (const flavour of OWN_FLAVOURS) {
  t.test(`random operations look like kernel overlayfs's, ${JSON.stringify(flavour.ours)}`, async (t) => {
    t.comment(`seed ${seed}, ${runs} sequences`);
    const base = scratch(t);
    const lowers = makeLowers(base, CASES);
    const pair = makePair(base, lowers);
    const goOn = (numRuns: number, shrink: boolean): Promise<void> =>
      mounted(t, pair, flavour, () => {
        compare('the whole tree', snapshot(pair.kernel.target), snapshot(pair.ours.target));
        explore(t, (name, sequence) => compareCase(pair, name, sequence), numRuns, shrink);
      });
    await goOn(runs, true);
    await t.test('after another mount they go on', () => goOn(Math.ceil(runs / 3), false));
  });
}

t.test("random operations without any option look like kernel overlayfs's with an index", async (t) => {
  t.comment(`seed ${seed}, ${runs} sequences`);
  const base = scratch(t);
  const pair = makePair(base, makeLowers(base, CASES));
  // Counts of names that were removed without a copy end with the mount: there is one only.
  await mounted(t, pair, { options: FLAVOURS[3].options, ours: {} }, () => {
    explore(t, (name, sequence) => compareCase(pair, name, sequence), runs, true);
  });
});

t.test('between every two steps both are mounted anew', async (t) => {
  t.comment(`seed ${seed}`);
  const base = scratch(t);
  const lowers = makeLowers(base, CASES);
  const pair = makePair(base, lowers);
  const flavour = FLAVOURS.at(-1)!;
  const sequence = fc.sample(operation, { seed, numRuns: Number(process.env.DIFFERENTIAL_REMOUNTS ?? 40) });
  for (const step of sequence) await mounted(t, pair, flavour, () => compareCase(pair, 'case0', [step]));
  t.pass(`${sequence.length} steps, each answered alike, with the same tree after each`);
});
