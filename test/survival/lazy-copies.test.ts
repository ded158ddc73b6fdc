// SPDX-License-Identifier: MIT
/** The server is killed while lower files are copied lazily: what was written is there, and what was not is the lower file's. */
import t from 'tap';
import * as entries from '../../lib/sys/entries.js';
import * as files from '../../lib/sys/files.js';
import { type Scenario, steps, walkPoints, whileOpen } from '../support/fault-walk.js';
import type { Operation } from '../support/operations.js';
import { FLAVOURS } from '../support/pairs.js';

/** Large enough to be copied lazily, with data at both ends and in the middle. */
const LARGE_FILE = `
  truncate -s 8400K large
  for at in 0 4000 8390; do seq 1000 | dd of=large bs=1K seek=$at conv=notrunc status=none; done`;

const write = (offset: number, data: string): Operation => ({ op: 'write', path: 'large', offset, data });
const BEGIN = write(100_000, 'begun');

/** A program that has the file open and written to while something becomes of its name. */
function whileWritten(name: string, change: (root: number) => number): Scenario {
  return whileOpen(name, 'large', files.O_RDWR, (root, fd) => {
    files.writeFully(fd, Buffer.from('before'), 6, 4_100_000);
    const status = change(root);
    files.writeFully(fd, Buffer.from('after'), 5, 4_200_000);
    return status;
  });
}

const SCENARIOS: readonly Scenario[] = [
  steps('a part of it is written', [], BEGIN),
  steps('whole chunks are written', [], write(65536, 'w'.repeat(70_000))),
  steps('more is written', [BEGIN], write(5000, 'more'), write(8_600_000, 'at the end')),
  steps('it is cut short', [BEGIN], { op: 'truncate', path: 'large', size: 5_000_000 }),
  steps('it is renamed', [BEGIN], { op: 'rename', path: 'large', to: 'dir/moved', flags: 0 }),
  steps('it gets another name', [BEGIN], { op: 'link', path: 'large', to: 'other' }),
  steps('it is removed', [BEGIN], { op: 'unlink', path: 'large' }),
  steps('its owner changes', [BEGIN], { op: 'chown', path: 'large', uid: 5, gid: 6 }),
  whileWritten('it is removed while it is open', (root) => entries.unlink(root, 'large')),
  whileWritten('it is replaced while it is open', (root) => entries.rename(root, 'a', root, 'large')),
  whileOpen('it is synced', 'large', files.O_RDWR, (_root, fd) => {
    files.writeFully(fd, Buffer.from('x'), 1, 0);
    return files.syncFile(fd);
  }),
];

t.test('a kill at each sampled point of a lazy copy is not noticed', (t) =>
  walkPoints(t, {
    flavour: { ...FLAVOURS[0], ours: { copyUp: 'lazy' } },
    scenarios: SCENARIOS,
    points: 8000,
    lowest: LARGE_FILE,
  }),
);
