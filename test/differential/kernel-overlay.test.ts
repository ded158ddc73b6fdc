// SPDX-License-Identifier: MIT
/**
 * The kernel's overlayfs is the oracle: the same random sequences of operations
 * go to a kernel overlay and to ours over the same lower layers, and every
 * answer, the resulting trees and the two upper directories are compared.
 *
 * DIFFERENTIAL_RUNS sets the number of sequences, DIFFERENTIAL_SEED repeats a run.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import * as files from '../../lib/sys/files.js';
import { makeLayers, mountKernelOverlay, mountOurs, scratch, shell } from '../support/ground.js';
import { apply, type Operation, operation } from '../support/operations.js';
import { snapshot } from '../support/snapshot.js';

const runs = Number(process.env.DIFFERENTIAL_RUNS ?? 150);
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

for (const redirect of ['on', 'off'] as const) {
  t.test(`random operations give what kernel overlayfs gives, redirect_dir=${redirect}`, async (t) => {
    t.comment(`seed ${seed}, ${runs} sequences`);
    const base = scratch(t);
    const lowers = makeLowers(base);
    const oracle = { ...makeLayers(join(base, 'oracle'), 0), lowers };
    const ours = { ...makeLayers(join(base, 'ours'), 0), lowers };
    mountKernelOverlay(t, oracle, `redirect_dir=${redirect},index=off,metacopy=off,xino=auto`);
    await mountOurs(t, ours, { redirectDirectories: redirect === 'on' });
    let next = 0;

    const check = (sequence: Operation[]): void => {
      const name = `case${next++}`;
      if (next > CASES) throw new Error('no fresh case is left to shrink with');
      const roots = [oracle, ours].map(({ target }) => files.openPath(join(target, name), files.O_PATH));
      try {
        for (const [index, step] of sequence.entries()) {
          const [expected, actual] = roots.map((root) => apply(root, step));
          if (expected !== actual) {
            throw new Error(`step ${index} ${JSON.stringify(step)}: kernel ${expected}, ours ${actual}`);
          }
        }
        compare('merged tree', snapshot(join(oracle.target, name)), snapshot(join(ours.target, name)));
      } finally {
        for (const root of roots) files.close(root);
      }
      const uppers = [oracle, ours].map(({ upper }) => uppersOf(join(upper, name)));
      const linked = sequence.some(({ op }) => op === 'link');
      compare('upper directory', uppers[0], linked ? withoutExtraMarks(uppers[0], uppers[1]) : uppers[1]);
    };

    const result = fc.check(fc.property(fc.array(operation, { minLength: 5, maxLength: 60 }), check), {
      seed,
      numRuns: runs,
      endOnFailure: false,
    });
    if (result.failed) {
      t.comment(`${result.errorInstance}`);
      t.comment(JSON.stringify(result.counterexample));
    }
    t.equal(result.failed, false, 'the two agree');
    t.equal(result.numRuns, runs);
  });
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
