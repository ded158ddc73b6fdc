// SPDX-License-Identifier: MIT
/**
 * What a change of content, owner, mode or ACL leaves of setuid, setgid and security.capability, for every
 * caller, as a table over three grounds: a tmpfs, the kernel's overlayfs and ours. The table is set_id.py.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import t from 'tap';
import { makeLayers, mountOurs, run, scratch } from '../support/ground.js';

const TABLE = resolve('test/support/grounds/set_id.py');

interface Found {
  answer: string;
  mode: string | null;
  capability: boolean;
  ACL: boolean;
  'default ACL': boolean;
  new?: string | null;
}

type Outcome = Record<string, Found>;

const carryOut = (directory: string): Outcome => JSON.parse(run('python3', TABLE, 'run', directory));

/** Where the kernel does not tell a FUSE server enough; native-notes/fuse-protocol.md has the reasons. */
function isBeyondFuse(title: string, ours: Found, plain: Found): boolean {
  // fuse_file_fallocate refuses them, and nothing is changed.
  if (/COLLAPSE_RANGE|INSERT_RANGE/.test(title)) return ours.answer === 'Operation not supported';
  // The kernel takes a capability away before it asks whether the upper's file system can do it (file_modified).
  if (/ZERO_RANGE/.test(title) && ours.mode === plain.mode) return ours.answer === plain.answer;
  // fuse_setattr: a stranger's chown to nobody is answered as done; the mode stays as it is.
  if (/chown -1 -1 by other/.test(title)) return ours.mode === plain.mode;
  // A page that was written through a mapping comes as a WRITE, and writing takes a capability away.
  if (/mmap by/.test(title)) return ours.mode === plain.mode && plain.capability && !ours.capability;
  // The kernel's request to remove a capability looks like a chown to nobody: setuid goes with it.
  return /^setuid file with capability: .* by root$/.test(title) && ours.mode === '0777 1000:2000';
}

t.test('every change clears of setuid, setgid and capabilities what it clears elsewhere', async (t) => {
  const base = scratch(t);
  const layers = makeLayers(base, 1);
  const plain = join(base, 'plain');
  const kernel = makeLayers(join(base, 'kernel'), 1);
  mkdirSync(plain);
  for (const directory of [plain, layers.lowers[0], kernel.lowers[0]])
    run('python3', TABLE, 'make', directory);
  const { lowers, upper, work, target } = kernel;
  const options = `lowerdir=${lowers[0]},upperdir=${upper},workdir=${work}`;
  execFileSync('mount', ['-t', 'overlay', 'overlay', '-o', options, target]);
  t.teardown(() => execFileSync('umount', ['-l', target]));
  await mountOurs(t, layers);
  const expected = carryOut(plain);
  const peer = carryOut(target);
  const ours = carryOut(layers.target);
  const titles = Object.keys(expected);
  t.ok(titles.length > 2000, `${titles.length} cases were carried out`);
  const same = (one: Found, other: Found): boolean => JSON.stringify(one) === JSON.stringify(other);
  const different = titles.filter((title) => {
    const [a, b] = [expected[title], ours[title]];
    return !same(a, b) && !same(peer[title], b) && !isBeyondFuse(title, b, a);
  });
  t.strictSame(
    different.map((title) => ({ title, expected: expected[title], found: ours[title] })),
    [],
  );
});
