// SPDX-License-Identifier: MIT
/** The POSIX suite on a plain directory (control) and through both drivers. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { DriverName } from '../../lib/mount/config.js';
import { makeLayers, mountOurs, scratch, shell } from '../support/ground.js';
import { type Capability, claims, SEED } from '../support/posix-suite.js';

/** What a ground cannot do, with the reason; native-notes/fuse-native.md has the same list. */
const GROUNDS: Record<
  string,
  { driver?: DriverName; writeback?: boolean; lacks: Partial<Record<Capability, string>> }
> = {
  'plain directory': { lacks: {} },
  'kernel driver': { driver: 'kernel', lacks: {} },
  'kernel driver with writeback': { driver: 'kernel', writeback: true, lacks: {} },
  'fuse-native driver': {
    driver: 'fuse-native',
    lacks: {
      'rename-flags': 'libfuse 2 has no renameat2',
      nanoseconds: 'the binding passes milliseconds',
      'any-bytes': 'the binding passes names as UTF-8 text',
      'creator-owns': 'the binding does not say who asks',
      'unnamed-files': 'libfuse 2 has no TMPFILE',
      fallocate: 'the binding has no fallocate',
      'seek-holes': 'libfuse 2 has no lseek',
      'inode-numbers': 'libfuse 2 makes up inode numbers by path',
      acl: 'libfuse 2 does not negotiate POSIX ACLs',
      'hard-link-cache': 'libfuse 2 takes each name for a file of its own',
      'unlinked-link-count': 'libfuse 2 hides a removed open file under another name',
    },
  },
};

for (const [name, { driver, writeback, lacks }] of Object.entries(GROUNDS)) {
  t.test(`every operation does on the ${name} what it does elsewhere`, async (t) => {
    const base = scratch(t);
    const layers = makeLayers(base, 1);
    const root = driver === undefined ? layers.lowers[0] : layers.target;
    const entriesOfSuite = Object.entries(claims);
    for (const index of entriesOfSuite.keys()) {
      mkdirSync(join(layers.lowers[0], `case${index}`));
      shell(SEED, join(layers.lowers[0], `case${index}`));
    }
    if (driver !== undefined) await mountOurs(t, layers, { driver, writeback });
    for (const [index, [title, { needs, check }]] of entriesOfSuite.entries()) {
      const reason = needs === undefined ? undefined : lacks[needs];
      await t.test(title, reason === undefined ? {} : { skip: reason }, async (t) => {
        await check(t, join(root, `case${index}`));
      });
    }
  });
}
