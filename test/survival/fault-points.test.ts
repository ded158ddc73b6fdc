// SPDX-License-Identifier: MIT
/**
 * The server is killed at every point of every request that changes something: before and
 * after each system call, one after the other. After each the next server goes on, and the
 * answer, what the program sees and the tree are what kernel overlayfs gives.
 *
 * Every FAULT_STRIDE-th point is tried, beginning with a random one (FAULT_SEED); 1 for all.
 */
import { spawnSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import * as entries from '../../lib/sys/entries.js';
import * as files from '../../lib/sys/files.js';
import { S_IFDIR, Stat, statAt, statFd } from '../../lib/sys/stat.js';
import * as xattrs from '../../lib/sys/xattrs.js';
import { makeLayers, scratch } from '../support/ground.js';
import { apply, type Operation } from '../support/operations.js';
import { compare, FLAVOURS, makeLowers, mounted, type Pair } from '../support/pairs.js';
import { snapshot } from '../support/snapshot.js';

const stride = Number(process.env.FAULT_STRIDE ?? 150);
const seed = Number(process.env.FAULT_SEED ?? Date.now() % 2 ** 31);
/** More than there are points in all scenarios together, each of which has one directory. */
const CASES = Math.ceil(8000 / stride) + 2 * 60;
const MOST_POINTS = 400;

/** What a program does while the server is killed; answers all that it sees. */
interface Scenario {
  name: string;
  /** Before it, undisturbed. */
  before?: readonly Operation[];
  act(root: number): string;
}

function steps(name: string, before: readonly Operation[], ...operations: readonly Operation[]): Scenario {
  return { name, before, act: (root) => operations.map((operation) => apply(root, operation)).join(', ') };
}

/** A program that has `path` open while its name goes. Kernel overlayfs counts the names of a lower file then as it did before. */
function whileOpen(
  name: string,
  path: string,
  flags: number,
  change: (root: number, fd: number) => number,
): Scenario {
  return {
    name,
    act: (root) => {
      const fd = files.openAt(root, path, flags);
      const stat = new Stat();
      statFd(fd, stat);
      const buffer = Buffer.alloc(100);
      const changed = change(root, fd);
      const size = stat.type === S_IFDIR ? -1 : files.readFully(fd, buffer, 100, 0);
      const known = statFd(fd, stat);
      files.close(fd);
      return `${changed} ${size} ${buffer.subarray(0, Math.max(size, 0)).toString()} ${known} ${stat.mode}`;
    },
  };
}

/** Whether a directory's times stay what they were, as they do when something in it is copied up. */
function keepingTimes(scenario: Scenario, directory: string): Scenario {
  return {
    ...scenario,
    name: `${scenario.name}, and the times of its directory stay`,
    act: (root) => {
      const [before, after] = [new Stat(), new Stat()];
      statAt(root, directory, before);
      const answer = scenario.act(root);
      statAt(root, directory, after);
      return `${answer} ${before.modifySeconds === after.modifySeconds && before.modifyNanoseconds === after.modifyNanoseconds}`;
    },
  };
}

const create = (path: string): Operation => ({ op: 'create', path, mode: 0o640, data: 'data' });
const mkdir = (path: string): Operation => ({ op: 'mkdir', path, mode: 0o750 });
const unlink = (path: string): Operation => ({ op: 'unlink', path });
const rmdir = (path: string): Operation => ({ op: 'rmdir', path });
const rename = (path: string, to: string, flags = 0): Operation => ({ op: 'rename', path, to, flags });
const chmod = (path: string): Operation => ({ op: 'chmod', path, mode: 0o600 });

const SCENARIOS: readonly Scenario[] = [
  steps('a file is made in a merged directory', [], create('dir/new')),
  steps('a file is made where one was removed', [unlink('dir/a')], create('dir/a')),
  steps('a file is made in a directory of the upper', [mkdir('own')], create('own/new')),
  steps('a directory is made in a merged one', [], mkdir('dir/new')),
  steps('a directory is made where one was removed', [rmdir('dir/dir')], mkdir('dir/dir')),
  steps('a symlink is made', [], { op: 'symlink', path: 'dir/s', target: '../a' }),
  steps('a file of a lower gets another name', [], { op: 'link', path: 'dir/b', to: 'dir/new' }),
  steps('a file gets another name where one was removed', [unlink('dir/a')], {
    op: 'link',
    path: 'a',
    to: 'dir/a',
  }),
  steps('a file of the upper gets another name', [create('own')], { op: 'link', path: 'own', to: 'other' }),
  steps('a file of a lower is removed', [], unlink('dir/a')),
  steps('a file of the upper is removed', [create('own')], unlink('own')),
  steps('a copied-up file is removed', [chmod('dir/a')], unlink('dir/a')),
  steps('one of several names is removed', [], unlink('dir/sub/c')),
  steps(
    'one of several names in the upper is removed',
    [create('own'), { op: 'link', path: 'own', to: 'other' }],
    unlink('own'),
  ),
  steps('a directory of a lower is removed', [], rmdir('dir/long-name.txt')),
  steps('a directory of the upper is removed', [mkdir('own')], rmdir('own')),
  steps(
    'a directory that hides what is below is removed',
    [
      unlink('dir/sub/a'),
      unlink('dir/sub/b'),
      unlink('dir/sub/c'),
      unlink('dir/sub/dir/a'),
      rmdir('dir/sub/dir'),
    ],
    rmdir('dir/sub'),
  ),
  steps('a file of a lower is renamed', [], rename('dir/a', 'dir/new')),
  steps('a file is renamed over one of a lower', [], rename('dir/a', 'dir/b')),
  steps('a file is renamed over one of the upper', [create('own')], rename('dir/a', 'own')),
  steps('a file is renamed to where one was removed', [unlink('dir/b')], rename('dir/a', 'dir/b')),
  steps('a file of the upper is renamed', [create('own')], rename('own', 'dir/new')),
  steps(
    'a directory of the upper is renamed to where one was removed',
    [mkdir('own'), rmdir('dir/dir')],
    rename('own', 'dir/dir'),
  ),
  steps('a merged directory is renamed', [], rename('dir', 'moved')),
  steps('a merged directory is renamed over an empty one', [], rename('dir/sub', 'dir/long-name.txt')),
  steps(
    'a directory is renamed over one that hides what is below',
    [
      mkdir('own'),
      unlink('dir/sub/a'),
      unlink('dir/sub/b'),
      unlink('dir/sub/c'),
      unlink('dir/sub/dir/a'),
      rmdir('dir/sub/dir'),
    ],
    rename('own', 'dir/sub'),
  ),
  steps('two files change places', [], rename('dir/a', 'dir/b', 2)),
  steps('a file and a directory change places', [], rename('a', 'dir', 2)),
  keepingTimes(steps('a file is copied up', [], chmod('dir/sub/b')), 'dir/sub'),
  keepingTimes(steps('a directory is copied up', [], chmod('dir/sub/dir')), 'dir/sub'),
  steps('a file of a lower is written', [], {
    op: 'write',
    path: 'long-name.txt',
    offset: 5000,
    data: 'w'.repeat(9000),
  }),
  steps('a file of a lower is cut short', [], { op: 'truncate', path: 'long-name.txt', size: 1 }),
  steps('an owner is changed', [], { op: 'chown', path: 'dir/b', uid: 5, gid: 6 }),
  steps('times are set', [], { op: 'utimes', path: 'dir/b', seconds: 77 }),
  steps('an attribute is removed', [], { op: 'removexattr', path: 'a', name: 'user.one' }),
  {
    name: 'an attribute is made that must be new',
    act: (root) =>
      [1, 1].map((flags) => xattrs.setXattr(root, 'dir/b', 'user.new', Buffer.from('v'), flags)).join(),
  },
  whileOpen('a file of a lower is removed while it is open', 'dir/b', files.O_RDONLY, (root) =>
    entries.unlink(root, 'dir/b'),
  ),
  whileOpen('a file is written, removed and written on', 'dir/b', files.O_RDWR, (root, fd) => {
    files.writeFully(fd, Buffer.from('1'), 1, 0);
    const status = entries.unlink(root, 'dir/b');
    files.writeFully(fd, Buffer.from('2'), 1, 1);
    return status;
  }),
  whileOpen('a file is replaced while it is open', 'dir/b', files.O_RDWR, (root, fd) => {
    const status = entries.rename(root, 'dir/a', root, 'dir/b');
    files.writeFully(fd, Buffer.from('2'), 1, 1);
    return status;
  }),
  whileOpen(
    'a directory is removed while somebody is in it',
    'dir/long-name.txt',
    files.O_RDONLY | files.O_DIRECTORY,
    (root) => entries.removeDirectory(root, 'dir/long-name.txt'),
  ),
  whileOpen(
    'a directory is removed while somebody is in it, and made anew',
    'dir/long-name.txt',
    files.O_RDONLY | files.O_DIRECTORY,
    (root) =>
      entries.removeDirectory(root, 'dir/long-name.txt') +
      entries.makeDirectory(root, 'dir/long-name.txt', 0o755),
  ),
  {
    name: 'a file without a name is made, written and given one',
    act: (root) => {
      const dir = files.openAt(root, 'dir', files.O_PATH | files.O_DIRECTORY);
      const fd = files.reopen(dir, files.O_TMPFILE | files.O_RDWR);
      files.close(dir);
      files.writeFully(fd, Buffer.from('hello'), 5, 0);
      const { status: linked } = spawnSync('ln', [
        '-L',
        ...[fd, root]
          .map((one) => `/proc/${process.pid}/fd/${one}`)
          .map((path, at) => (at === 0 ? path : `${path}/dir/named`)),
      ]);
      files.close(fd);
      return `${linked} ${apply(root, { op: 'read', path: 'dir/named' })}`;
    },
  },
];

/** The countdown that the server looks at (fault-points.cts). */
class Countdown {
  readonly #fd: number;

  constructor(path: string) {
    writeFileSync(path, Buffer.alloc(4096));
    this.#fd = openSync(path, 'r+');
  }

  set(points: number): void {
    const bytes = Buffer.alloc(8);
    bytes.writeInt32LE(points, 0);
    writeSync(this.#fd, bytes, 0, 8, 0);
  }

  /** Whether it was over since it was set. */
  get fired(): boolean {
    const bytes = Buffer.alloc(8);
    readSync(this.#fd, bytes, 0, 8, 0);
    return bytes.readInt32LE(4) > 0;
  }

  close(): void {
    closeSync(this.#fd);
  }
}

/** Runs a scenario on one case directory of both; the server is killed at the nth point. Answers whether there was one. */
function tryPoint(
  pair: Pair,
  name: string,
  scenario: Scenario,
  countdown: Countdown,
  point: number,
): boolean {
  const roots = [pair.kernel, pair.ours].map(({ target }) =>
    files.openPath(join(target, name), files.O_PATH),
  );
  try {
    for (const step of scenario.before ?? []) {
      const [expected, actual] = roots.map((root) => apply(root, step));
      if (expected !== actual) throw new Error(`before it: ${JSON.stringify(step)}: ${expected}, ${actual}`);
    }
    const expected = scenario.act(roots[0]);
    countdown.set(point);
    const actual = scenario.act(roots[1]);
    const { fired } = countdown;
    countdown.set(0);
    if (expected !== actual) throw new Error(`kernel ${expected}, ours ${actual}`);
    compare('merged tree', snapshot(join(pair.kernel.target, name)), snapshot(join(pair.ours.target, name)));
    return fired;
  } finally {
    for (const root of roots) files.close(root);
  }
}

for (const [flavour, resends] of [
  [FLAVOURS[0], true],
  [FLAVOURS[4], false],
] as const) {
  const kernel = resends ? '' : ', and no kernel that sends requests again';
  t.test(`a kill at any point of a request is not noticed, ${flavour.options}${kernel}`, async (t) => {
    t.comment(`seed ${seed}, every ${stride}th point`);
    const base = scratch(t);
    const lowers = makeLowers(base, CASES);
    const pair: Pair = {
      kernel: { ...makeLayers(join(base, 'kernel'), 0), lowers },
      ours: { ...makeLayers(join(base, 'ours'), 0), lowers },
    };
    mkdirSync(join(base, 'faults'));
    const countdown = new Countdown(join(base, 'faults/countdown'));
    const { NODE_OPTIONS } = process.env;
    process.env.FAULT_POINTS = join(base, 'faults/countdown');
    process.env.NODE_OPTIONS = `--require=${new URL('../support/fault-points.cjs', import.meta.url).pathname}`;
    if (!resends) process.env.FAULT_NO_RESEND = '1';
    let used = 0;
    let points = 0;
    try {
      await mounted(t, pair, flavour, () => {
        for (const scenario of SCENARIOS) {
          let point = 1 + (seed % stride);
          for (; point < MOST_POINTS; point += stride) {
            try {
              if (!tryPoint(pair, `case${used++}`, scenario, countdown, point)) break;
            } catch (failure) {
              t.fail(`${scenario.name}, point ${point} (case${used - 1}): ${(failure as Error).message}`);
            }
            points++;
          }
          t.comment(`${scenario.name}: up to point ${point - stride}`);
        }
      });
    } finally {
      countdown.close();
      delete process.env.FAULT_POINTS;
      delete process.env.FAULT_NO_RESEND;
      if (NODE_OPTIONS === undefined) delete process.env.NODE_OPTIONS;
      else process.env.NODE_OPTIONS = NODE_OPTIONS;
    }
    t.ok(points > 0, `${points} points of ${SCENARIOS.length} scenarios`);
  });
}
