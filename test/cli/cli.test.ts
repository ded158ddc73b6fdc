// SPDX-License-Identifier: MIT
/** The command line as a person and as a program use it, with good input and bad. */
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { join, resolve } from 'node:path';
import t from 'tap';
import { listMounts } from '../../lib/sys/mounts.js';
import {
  ended,
  isRunning,
  killForGood,
  makeLayers,
  publicCheckout,
  run,
  scratch,
  shell,
  until,
} from '../support/ground.js';

const program = resolve('bin/tsoverlay');
// Commands make the store that they look into.
process.env.TSOVERLAY_ROOT = join(scratch(t), 'store');

interface Result {
  status: number | null;
  stdout: string;
  stderr: string;
}

function tsoverlay(args: readonly string[], options: { cwd?: string; env?: NodeJS.ProcessEnv } = {}): Result {
  return spawnSync(program, args, { encoding: 'utf8', ...options });
}

function countMounts(): number {
  return listMounts().filter(({ type }) => type.startsWith('fuse')).length;
}

t.test('mount, explain, diff, mounts and unmount work together', async (t) => {
  const base = scratch(t);
  const layers = makeLayers(base, 2);
  shell('mkdir etc; echo top > etc/motd; echo 1 > removed', layers.lowers[0]);
  shell('mkdir etc; echo low > etc/motd; echo h > etc/hosts', layers.lowers[1]);
  const mounted = tsoverlay(
    ['mount', '--lower', 'lower0', '--lower', 'lower1', '--upper', 'upper', '--work', 'work', 'merged'],
    { cwd: base },
  );
  t.match(mounted, { status: 0, stdout: '', stderr: '' });
  shell('echo more >> etc/motd; rm removed; mkdir new; touch new/f', layers.target);

  const listed = JSON.parse(tsoverlay(['mounts', '--json']).stdout);
  t.match(listed, [{ target: layers.target, lowers: layers.lowers, upper: layers.upper, driver: 'kernel' }]);
  const { serverPid, figures } = listed[0];
  t.ok(isRunning(serverPid));
  t.ok(figures.requests > 5 && figures.residentMemory > 1 << 20);
  t.match(tsoverlay(['mounts']).stdout, new RegExp(`${layers.target} +${serverPid} +kernel +2\\+1`));

  const explained = tsoverlay(['explain', 'merged/etc/motd', 'merged/etc/hosts', 'merged/removed'], {
    cwd: base,
  });
  t.equal(explained.status, 0);
  t.match(
    explained.stdout,
    /etc\/motd: file from .*upper\n +supplies +file +.*upper \(upper, copied up\)\n +hidden +file +.*lower0/,
  );
  t.match(explained.stdout, /etc\/hosts: file from .*lower1\n/);
  t.match(explained.stdout, /removed: does not exist\n +hides +whiteout .*upper/);
  t.match(JSON.parse(tsoverlay(['explain', '--json', join(layers.target, 'etc')]).stdout), [
    {
      exists: true,
      type: 'directory',
      layers: [{ role: 'supplies', copiedUp: true }, { role: 'merged' }, { role: 'merged' }],
    },
  ]);
  t.match(tsoverlay(['explain', join(layers.target, 'nowhere')]), { status: 1, stderr: /no layer has it/ });

  const expected = 'C /etc\nC /etc/motd\nA /new\nA /new/f\nD /removed\n';
  t.equal(tsoverlay(['diff', layers.target]).stdout, expected);
  t.match(JSON.parse(tsoverlay(['diff', '--json', layers.target]).stdout), [{ kind: 'C', path: '/etc' }]);
  t.match(tsoverlay(['unmount', layers.target]), { status: 0, stdout: '', stderr: '' });
  await ended(serverPid);
  t.equal(tsoverlay(['diff', layers.upper]).stdout, expected, 'the upper alone tells the same');
  t.match(JSON.parse(tsoverlay(['mounts', '--json']).stdout), []);
});

t.test('options of one string do the same without a subcommand', async (t) => {
  const base = scratch(t);
  makeLayers(base, 2);
  fs.mkdirSync(join(base, 'odd:name'));
  fs.writeFileSync(join(base, 'odd:name/f'), 'odd');
  t.match(
    tsoverlay(['-o', 'lowerdir=odd\\:name:lower0', '-o', 'upperdir=upper,workdir=work,nosuid', 'merged'], {
      cwd: base,
    }),
    { status: 0, stderr: '' },
  );
  t.equal(fs.readFileSync(join(base, 'merged/f'), 'utf8'), 'odd');
  t.match(tsoverlay(['umount', 'merged'], { cwd: base }), { status: 0 });
});

t.test('without an upper the mount is read-only', async (t) => {
  const base = scratch(t);
  makeLayers(base, 2);
  t.match(tsoverlay(['mount', '-o', 'lowerdir=lower0:lower1', 'merged'], { cwd: base }), { status: 0 });
  t.throws(() => fs.writeFileSync(join(base, 'merged/f'), ''), { code: 'EROFS' });
  t.match(tsoverlay(['unmount', 'merged'], { cwd: base }), { status: 0 });
});

t.test('in the foreground it stays until it is told to end', async (t) => {
  const base = scratch(t);
  const { target } = makeLayers(base, 1);
  const child = spawn(
    program,
    ['mount', '-f', '--lower', 'lower0', '--upper', 'upper', '--work', 'work', 'merged'],
    { cwd: base },
  );
  t.teardown(() => child.kill('SIGKILL'));
  await until(() => listMounts().some((mount) => mount.target === target), 'the mount');
  child.kill('SIGINT');
  const code = await new Promise((done) => child.on('exit', done));
  t.equal(code, 0);
  t.notOk(listMounts().some((mount) => mount.target === target));
});

/** Command, exit code and what the message must say. */
const MISTAKES: [what: string, args: string[], status: number, message: RegExp][] = [
  ['no command', [], 2, /no command is given/],
  ['an unknown command', ['mout', 'x'], 2, /mount/],
  ['an unknown flag', ['mount', '--lower', 'lower0', '--bogus', 'merged'], 2, /unknown option --bogus/],
  ['an unknown flag and no command', ['--bogus'], 2, /unknown option --bogus; see `tsoverlay --help`/],
  [
    'a mistyped flag',
    ['mount', '--lowr', 'lower0', 'merged'],
    2,
    /unknown option --lowr; did you mean --lower\?/,
  ],
  ['no target', ['mount', '--lower', 'lower0'], 2, /argument/],
  ['no layer', ['mount', 'merged'], 2, /no layer is given; name at least one/],
  [
    'a missing layer',
    ['-o', 'lowerdir=lower0:none', 'merged'],
    1,
    /open lower directory .*none: there is no such directory; create it/,
  ],
  ['a layer that is a file', ['-o', 'lowerdir=file', 'merged'], 1, /file: it is not a directory/],
  ['an empty layer name', ['-o', 'lowerdir=lower0:::lower1', 'merged'], 2, /lowerdir has an empty entry/],
  [
    'an upper without work',
    ['-o', 'lowerdir=lower0,upperdir=upper', 'merged'],
    2,
    /upperdir is given without workdir; add workdir/,
  ],
  [
    'a work without upper',
    ['-o', 'lowerdir=lower0,workdir=work', 'merged'],
    2,
    /workdir is given without upperdir/,
  ],
  [
    'an unknown option',
    ['mount', '-o', 'lowerdir=lower0,uperdir=upper', 'merged'],
    2,
    /unknown mount option "uperdir"; did you mean upperdir\?/,
  ],
  ['an option without its value', ['-o', 'lowerdir', 'merged'], 2, /lowerdir needs a value/],
  [
    'an impossible value',
    ['-o', 'lowerdir=lower0,redirect_dir=maybe', 'merged'],
    2,
    /redirect_dir=maybe is not possible; use one of on, follow, nofollow, off/,
  ],
  [
    'work on another file system',
    ['-o', 'lowerdir=lower0,upperdir=upper,workdir=other', 'merged'],
    1,
    /not on the same file system/,
  ],
  [
    'work inside the upper',
    ['-o', 'lowerdir=lower0,upperdir=upper,workdir=upper/in', 'merged'],
    1,
    /lies inside the upper directory/,
  ],
  [
    'upper inside a lower',
    ['-o', 'lowerdir=lower0,upperdir=lower0/in,workdir=work', 'merged'],
    1,
    /lies inside the lower layer/,
  ],
  [
    'a lower inside the upper',
    ['-o', 'lowerdir=upper/in,upperdir=upper,workdir=work', 'merged'],
    1,
    /lies inside the upper/,
  ],
  [
    'upper that is a lower',
    ['-o', 'lowerdir=lower0:upper,upperdir=upper,workdir=work', 'merged'],
    1,
    /is a lower layer as well/,
  ],
  [
    'a work directory that holds something',
    ['-o', 'lowerdir=lower0,upperdir=upper,workdir=full', 'merged'],
    1,
    /full: it holds "mine"/,
  ],
  [
    'a missing target',
    ['-o', 'lowerdir=lower0', 'nowhere'],
    1,
    /nowhere: there is no such directory; create the target/,
  ],
  ['a target that is a file', ['-o', 'lowerdir=lower0', 'file'], 1, /target is not a directory/],
  ['an unmount of what is not mounted', ['unmount', 'lower0'], 1, /nothing of tsoverlay is mounted there/],
  ['an explanation outside any mount', ['explain', 'lower0'], 1, /lies in no tsoverlay mount/],
  ['a diff of nothing', ['diff', 'nowhere'], 1, /neither a container nor a mount nor a directory/],
];

t.test('each mistake gets one line that says what is wrong, and leaves nothing behind', async (t) => {
  const base = scratch(t);
  makeLayers(base, 2);
  shell('mkdir lower0/in upper/in other full full/mine; touch file; mount -t tmpfs other other', base);
  t.teardown(() => run('umount', join(base, 'other')));
  const mounts = countMounts();
  for (const [what, args, status, message] of MISTAKES) {
    const result = tsoverlay(args, { cwd: base });
    t.equal(result.status, status, `${what}: exit code`);
    t.match(result.stderr, message, what);
    t.equal(
      result.stderr.trim().split('\n').length,
      1,
      `${what}: one line, not ${JSON.stringify(result.stderr)}`,
    );
    t.notMatch(result.stderr, /\n +at /, `${what}: no stack trace`);
  }
  t.equal(countMounts(), mounts);
  t.strictSame(fs.readdirSync(process.env.TSOVERLAY_RUNTIME_DIR!), [], 'no server, no record, no log');
  t.strictSame(fs.readdirSync(join(base, 'work')), []);
});

t.test('an upper, a work directory and a target are used once', async (t) => {
  const base = scratch(t);
  makeLayers(base, 1);
  shell('mkdir merged2 upper2 work2', base);
  const mount = (upper: string, work: string, target: string): Result =>
    tsoverlay(['mount', '-o', `lowerdir=lower0,upperdir=${upper},workdir=${work}`, target], { cwd: base });
  t.equal(mount('upper', 'work', 'merged').status, 0);
  t.match(mount('upper', 'work2', 'merged2'), {
    status: 1,
    stderr: /upper: another live mount uses it; see `tsoverlay mounts`/,
  });
  t.match(mount('upper2', 'work', 'merged2'), { status: 1, stderr: /work: another live mount uses it/ });
  t.match(mount('upper2', 'work2', 'merged'), { status: 1, stderr: /is mounted there already; unmount it/ });
  t.equal(tsoverlay(['unmount', 'merged'], { cwd: base }).status, 0);
  run(
    'mount',
    '-t',
    'overlay',
    'overlay',
    '-o',
    `lowerdir=${base}/lower0,upperdir=${base}/upper,workdir=${base}/work`,
    join(base, 'merged'),
  );
  t.match(mount('upper', 'work2', 'merged2'), {
    status: 1,
    stderr: /the kernel overlay mounted at .* uses it; unmount that first/,
  });
  run('umount', join(base, 'merged'));
});

t.test('a mount whose server was killed is listed, explained and unmounted', async (t) => {
  const base = scratch(t);
  const { target } = makeLayers(base, 1);
  const { stdout } = tsoverlay(
    ['mount', '--json', '--lower', 'lower0', '--upper', 'upper', '--work', 'work', 'merged'],
    { cwd: base },
  );
  const { serverPid } = JSON.parse(stdout);
  await killForGood(serverPid);
  t.match(tsoverlay(['mounts']).stdout, /its server is gone/);
  t.match(tsoverlay(['mount', '--lower', 'lower0', 'merged'], { cwd: base }), {
    status: 1,
    stderr: /server has died.*umount -l/,
  });
  t.match(tsoverlay(['unmount', 'merged'], { cwd: base }), { status: 0, stderr: '' });
  t.notOk(listMounts().some((mount) => mount.target === target));
  t.strictSame(JSON.parse(tsoverlay(['mounts', '--json']).stdout), []);
});

t.test('without the device or the right the message says what to do', async (t) => {
  const base = scratch(t);
  makeLayers(base, 1);
  fs.chmodSync(base, 0o777);
  const reachable = join(publicCheckout(t, base), 'bin/tsoverlay');
  const user = spawnSync(
    'setpriv',
    ['--reuid=1234', '--regid=1234', '--clear-groups', reachable, 'mount', '--lower', 'lower0', 'merged'],
    { cwd: base, encoding: 'utf8', env: { ...process.env, TSOVERLAY_RUNTIME_DIR: join(base, 'run') } },
  );
  t.equal(user.status, 1);
  t.match(
    user.stderr,
    /\/dev\/fuse.*run as root|mount.*not permitted.*run as root|fusermount3: .*run as root/,
  );
  const hidden = spawnSync(
    'unshare',
    [
      '--mount',
      'sh',
      '-c',
      `mount -t tmpfs none /dev && mknod /dev/null c 1 3 && ${program} mount --lower lower0 merged`,
    ],
    {
      cwd: base,
      encoding: 'utf8',
    },
  );
  t.equal(hidden.status, 1);
  t.match(hidden.stderr, /\/dev\/fuse: this system has no FUSE device; load the module with `modprobe fuse`/);
});

t.test('help has examples, and the shell completes', async (t) => {
  t.match(tsoverlay(['--help']).stdout, /Common Commands:\n {2}mount [\s\S]*Exit codes: 0 it worked/);
  t.match(tsoverlay(['mount', '--help']).stdout, /Examples:\n[\s\S]*--lower/);
  t.match(tsoverlay(['--version']).stdout, /^\d+\.\d+\.\d+\n$/);
  t.match(tsoverlay(['completion']).stdout, /tsoverlay/);
});

t.test('--debug adds where an error comes from', async (t) => {
  t.match(tsoverlay(['unmount', '/', '--debug']).stderr, /nothing of tsoverlay[\s\S]*\n +at /);
  t.match(tsoverlay(['--debug', 'unmount', '--detach', '/']).stderr, /nothing of tsoverlay[\s\S]*\n +at /);
});
