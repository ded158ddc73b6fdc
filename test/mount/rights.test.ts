// SPDX-License-Identifier: MIT
/**
 * What a caller is answered, and what is listed to it, as a table over three grounds: a tmpfs, the kernel's
 * overlayfs and ours, whose server acts with root's rights. The table is rights.py.
 */
import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import t from 'tap';
import { processId } from '../../lib/sys/proc.js';
import {
  makeLayers,
  mountKernelOverlay,
  mountOurs,
  publicCheckout,
  run,
  scratch,
} from '../support/ground.js';

const TABLE = resolve('test/support/grounds/rights.py');

/** What an upper keeps owners and modes in (xattr_permissions). */
const OVERRIDES = ['user.containers.override_stat', 'user.fuseoverlayfs.override_stat'];

/** As the owner: setuid root is asked for in an attribute. */
const OVERRIDE = `
import errno, os, sys
path, name = sys.argv[1:]
os.setresuid(1000, 1000, 1000)
for act in (lambda: os.setxattr(path, name, b"0:0:4755:file"), lambda: os.getxattr(path, name), lambda: os.removexattr(path, name)):
    try:
        print(act())
    except OSError as error:
        print(errno.errorcode[error.errno])
print(os.listxattr(path))
`;

type Answers = Record<string, unknown>;

const carryOut = (directory: string): Answers => JSON.parse(run('python3', TABLE, 'run', directory));

t.test('whoever asks for whatever is answered as on a tmpfs or on the kernel overlayfs', async (t) => {
  const base = scratch(t);
  const layers = makeLayers(base, 1);
  const kernel = makeLayers(join(base, 'kernel'), 1);
  const plain = join(base, 'plain');
  mkdirSync(plain);
  for (const directory of [plain, layers.lowers[0], kernel.lowers[0]])
    run('python3', TABLE, 'make', directory);
  mountKernelOverlay(t, kernel, 'index=off');
  await mountOurs(t, layers);
  const expected = carryOut(plain);
  const peer = carryOut(kernel.target);
  const ours = carryOut(layers.target);
  const titles = Object.keys(expected);
  t.ok(titles.length > 4000, `${titles.length} cases were carried out`);
  const same = (one: unknown, other: unknown): boolean => JSON.stringify(one) === JSON.stringify(other);
  // The kernel's overlayfs tells everybody how long the list is that it gives to few (ovl_listxattr), so it is no measure.
  const mayBe = (title: string): unknown[] =>
    title.startsWith('listxattr') ? [expected[title]] : [expected[title], peer[title]];
  const different = titles.filter((title) => !mayBe(title).some((right) => same(right, ours[title])));
  t.strictSame(
    different.map((title) => ({ title, expected: expected[title], peer: peer[title], found: ours[title] })),
    [],
  );
});

t.test("the owner of a file cannot say in an attribute that it is somebody else's", async (t) => {
  const base = scratch(t);
  for (const xattrPermissions of [0, 2] as const) {
    const layers = makeLayers(join(base, String(xattrPermissions)), 1);
    const file = join(layers.lowers[0], 'file');
    writeFileSync(file, 'content');
    chmodSync(file, 0o755);
    chownSync(file, 1000, 1000);
    const mounted = await mountOurs(t, layers, { xattrPermissions });
    const path = join(mounted.target, 'file');
    for (const name of OVERRIDES) {
      const answers = run('python3', '-c', OVERRIDE, path, name).trim().split('\n');
      t.strictSame(answers, ['EPERM', 'ENODATA', 'ENODATA', '[]'], `${name}: set, read, remove, list`);
    }
    const { uid, mode } = statSync(path);
    t.strictSame([uid, mode & 0o7777], [1000, 0o755], 'owner and mode are what they were');
  }
});

t.test("another user's list of mounts is neither given to an ordinary user nor believed", async (t) => {
  const base = scratch(t);
  const program = join(publicCheckout(t, base), 'bin/tsoverlay');
  const foreign = join(base, 'tsoverlay');
  mkdirSync(foreign, { mode: 0o755 });
  // A live process: this test's.
  const server = { serverPid: process.pid, serverStart: processId(process.pid).start };
  const record = { target: '/etc', ...server, lowers: ['/'], dataLowers: [], since: '2020' };
  writeFileSync(join(foreign, `${process.pid}.json`), JSON.stringify(record));
  const mounts = (environment: Record<string, string>): string[] => {
    const user = ['--reuid=1234', '--regid=1234', '--clear-groups'];
    const env = { PATH: process.env.PATH, HOME: base, ...environment };
    const { status, stdout, stderr } = spawnSync('setpriv', [...user, program, 'mounts', '--json'], {
      env,
      encoding: 'utf8',
    });
    return [String(status), stdout, stderr];
  };
  const told = `tsoverlay: read runtime directory ${foreign}:`;
  const remedy = 'set TSOVERLAY_RUNTIME_DIR to a directory that you own\n';
  const planted = mounts({ XDG_RUNTIME_DIR: base });
  t.strictSame(planted, ['1', '', `${told} it belongs to user 0; ${remedy}`], 'planted in its place');
  chmodSync(foreign, 0o700);
  const closed = mounts({ TSOVERLAY_RUNTIME_DIR: foreign });
  t.strictSame(closed, ['1', '', `${told} it is another user's; ${remedy}`], 'named, and shut');
});
