// SPDX-License-Identifier: MIT
/**
 * Pairs of unions, one by the kernel's overlayfs and one by ours, over the same lower
 * layers: what the kernel answers and makes of an operation is what ours has to.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import type { MountOptions } from '../../lib/mount/mount.js';
import * as files from '../../lib/sys/files.js';
import { type Layers, type Live, makeLayers, mountOurs, run, shell } from './ground.js';
import { apply, type Operation } from './operations.js';
import { snapshot } from './snapshot.js';

/** Three layers with every kind of overlap; the same in each case directory. */
const LAYERS = [
  `mkdir -p dir/sub; echo top > a; echo top-dir > dir/a; mknod b c 0 0; ln -s a c; setfattr -n user.one -v top a; mkdir sub; setfattr -n trusted.overlay.opaque -v y sub; echo new > sub/b; touch -d @1000 a`,
  `mkdir -p dir/sub sub dir/dir; echo mid > a; echo mid > b; echo mid-dir > dir/b; echo deep > dir/sub/c; echo hidden > sub/a; chmod 4755 dir/b; mknod dir/c c 0 0; ln dir/sub/c dir/sub/a; mkdir -p dir/long-name.txt; mkfifo sub/c`,
  `mkdir -p dir/sub/dir b c; echo low > dir/c; echo low > dir/sub/b; echo low > b/a; dd if=/dev/zero of=long-name.txt bs=1k count=70 status=none; chown 1000:1000 long-name.txt; echo x > dir/sub/dir/a; setfattr -n trusted.two -v low dir/sub`,
];

/** `lowest` adds to the lowest layer. */
export function makeLowers(base: string, cases: number, lowest = ''): string[] {
  return LAYERS.map((script, index) => {
    const lower = join(base, `l${index}`);
    mkdirSync(join(lower, 'case0'), { recursive: true });
    shell(script, join(lower, 'case0'));
    if (index === LAYERS.length - 1) shell(lowest, join(lower, 'case0'));
    shell(`for i in $(seq 1 ${cases - 1}); do cp -a case0 case$i; done`, lower);
    return lower;
  });
}

/** What the two may do differently without anybody seeing it through a mount. */
function comparable(name: string, value: string): string | undefined {
  return name === 'trusted.overlay.uuid' || name === 'trusted.overlay.protattr' ? undefined : value;
}

export interface Flavour {
  options: string;
  ours: Partial<Omit<MountOptions, 'driver'>>;
}

export const FLAVOURS: Flavour[] = [
  { options: 'redirect_dir=on,index=off,metacopy=off', ours: { index: false } },
  { options: 'redirect_dir=off,index=off,metacopy=off', ours: { redirectDir: 'off', index: false } },
  { options: 'redirect_dir=on,index=off,metacopy=on', ours: { metacopy: true, index: false } },
  { options: 'redirect_dir=on,index=on,metacopy=off', ours: { index: true } },
  { options: 'redirect_dir=on,index=on,metacopy=on', ours: { index: true, metacopy: true } },
];

/** Unions whose upper the kernel would not understand: what is seen through the mount is the same. */
export const OWN_FLAVOURS: Flavour[] = [
  { options: FLAVOURS[0].options, ours: { whiteout: 'aufs', index: false } },
  // 1, because the attribute that 2 stands for cannot be given to symlinks.
  { options: FLAVOURS[0].options, ours: { xattrPermissions: 1, index: false } },
  { options: FLAVOURS[3].options, ours: { xattrPermissions: 1, index: true } },
];

/** One union by each implementation; the directories of the one may have been the other's before. */
export interface Pair {
  kernel: Layers;
  ours: Layers;
}

/** A pair over the same lower layers, each with an upper of its own below `base`. */
export function makePair(base: string, lowers: string[], kernel = 'kernel', ours = 'ours'): Pair {
  return {
    kernel: { ...makeLayers(join(base, kernel), 0), lowers },
    ours: { ...makeLayers(join(base, ours), 0), lowers },
  };
}

/** Applies a sequence to one case directory of both, and compares every answer and the trees that come out. */
export function compareCase({ kernel, ours }: Pair, name: string, sequence: readonly Operation[]): void {
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
export async function mounted(
  t: Test,
  pair: Pair,
  flavour: Flavour,
  use: (live: Live) => void | Promise<void>,
): Promise<void> {
  const { upper, work, lowers, target } = pair.kernel;
  const options = `lowerdir=${lowers.join(':')},upperdir=${upper},workdir=${work},${flavour.options},xino=auto`;
  run('mount', '-t', 'overlay', 'overlay', '-o', options, target);
  try {
    const live = await mountOurs(t, pair.ours, flavour.ours);
    await use(live);
    await live.unmount();
  } finally {
    run('umount', '-l', target);
  }
}

export function compareUppers({ kernel, ours }: Pair, name: string, sequence: readonly Operation[]): void {
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

export function compare(what: string, expected: string[], actual: string[]): void {
  const missing = expected.filter((line) => !actual.includes(line));
  const extra = actual.filter((line) => !expected.includes(line));
  if (missing.length + extra.length === 0) return;
  throw new Error(
    `${what} differs\n  kernel: ${missing.join('\n          ')}\n  ours:   ${extra.join('\n          ')}`,
  );
}
