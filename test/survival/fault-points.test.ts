// SPDX-License-Identifier: MIT
/**
 * The server is killed at every point of every request that changes something: before and
 * after each system call, one after the other. After each the next server goes on, and the
 * answer, what the program sees and the tree are what kernel overlayfs gives.
 * FAULT_STRIDE and FAULT_SEED say which points (test/support/fault-walk.ts).
 */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import t from 'tap';
import * as entries from '../../lib/sys/entries.js';
import * as files from '../../lib/sys/files.js';
import { Stat, statAt } from '../../lib/sys/stat.js';
import * as xattrs from '../../lib/sys/xattrs.js';
import { type Scenario, steps, walkPoints, whileOpen } from '../support/fault-walk.js';
import { makeLayers, mountKernelOverlay } from '../support/ground.js';
import { apply, type Operation } from '../support/operations.js';
import { FLAVOURS, OWN_FLAVOURS } from '../support/pairs.js';

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

for (const [flavour, resends] of [
  [FLAVOURS[0], true],
  [FLAVOURS[4], false],
  [{ options: FLAVOURS[3].options, ours: {} }, true],
  [OWN_FLAVOURS[0], true],
  [OWN_FLAVOURS[1], true],
] as const) {
  const kernel = resends ? '' : ', and no kernel that sends requests again';
  t.test(
    `a kill at each sampled point of a request is not noticed, ${flavour.options} ${JSON.stringify(flavour.ours)}${kernel}`,
    (t) => walkPoints(t, { flavour, scenarios: SCENARIOS, points: 8000, resends }),
  );
}

/** An overlayfs takes neither devices 0:0 nor RENAME_WHITEOUT: moves are of two steps there (rename-cover.ts). */
t.test('a kill at each sampled point of a request is not noticed, the upper on an overlayfs', (t) =>
  walkPoints(t, {
    flavour: FLAVOURS[0],
    scenarios: SCENARIOS,
    points: 8000,
    ground: (t, base) => {
      const layers = makeLayers(join(base, 'ground'), 1);
      mountKernelOverlay(t, layers, 'index=off');
      return layers.target;
    },
  }),
);
