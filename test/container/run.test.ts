// SPDX-License-Identifier: MIT
/** `tsoverlay run`: what a container has and may do, its exit codes, and what is said of mistakes. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { LAST_WORDS_MS } from '../../lib/container/server/own-program.js';
import { boxCli, containerOf, ONE_CGROUP_VERSION, PROGRAM } from '../support/containers.js';
import { ended, scratch, shell, until } from '../support/ground.js';
import type { Cli } from '../support/images.js';

/** Runs with something to read. */
function runWith(
  cli: Cli,
  input: string,
  ...args: string[]
): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(PROGRAM, args, {
    input,
    cwd: cli.base,
    env: { ...process.env, ...cli.environment },
    encoding: 'utf8',
  });
}

t.test('exit codes are those of Docker', async (t) => {
  const cli = await boxCli(t);
  const cases: [args: string[], status: number, stderr: RegExp][] = [
    [['box', 'true'], 0, /^$/],
    [['box', 'sh', '-c', 'exit 5'], 5, /^$/],
    [['--init', 'box', 'sh', '-c', 'kill -TERM $$'], 143, /^$/],
    [['box', 'nosuch'], 127, /run nosuch: the container has no such program in PATH; give the command/],
    [['box', '/bin/none/x'], 127, /the container has no such program/],
    [['box', '/etc/passwd'], 126, /run \/etc\/passwd: EACCES/],
    [['--network', 'nowhere', 'box', 'true'], 125, /there is no network nowhere; it is bridge/],
    [['nosuchimage:1', '--pull', 'never'], 125, /./],
    [['--pull', 'never', 'nosuchimage:1'], 125, /no such image/],
    [['--memory', '1k', 'box', 'true'], 125, /--memory 1k is too little; give at least 6m/],
    [['--runtime', 'rumc', 'box', 'true'], 125, /there is no runtime rumc; did you mean runc\?/],
    [
      ['--storage-driver', 'ovrlay', 'box', 'true'],
      125,
      /there is no storage driver ovrlay; did you mean overlay\?/,
    ],
    [
      ['--storage-driver', 'btrfs', 'box', 'true'],
      125,
      /lies on another file system; choose a store on btrfs/,
    ],
    [['-u', 'nobody-here', 'box', 'true'], 125, /no such user; give a number/],
    [['-v', '/nowhere/at/all:/x', 'box', 'true'], 125, /there is no such file or directory on this machine/],
    [['-v', 'data:relative', 'box', 'true'], 125, /must begin with \//],
    [
      ['-p', '99999:80', 'box', 'true'],
      125,
      /--publish 99999:80: 99999 is not a port or .*; write HOST:CONTAINER/,
    ],
    [['--cap-add', 'FLY', 'box', 'true'], 125, /there is no capability FLY/],
    [['--restart', 'sometimes', 'box', 'true'], 125, /--restart sometimes is not a restart policy/],
    [['--nmae', 'x', 'box', 'true'], 125, /nmae.*name/],
  ];
  for (const [args, status, stderr] of cases) {
    const outcome = await cli.run('run', '--rm', ...args);
    t.equal(outcome.status, status, args.join(' '));
    t.match(outcome.stderr, stderr, args.join(' '));
    t.notMatch(outcome.stderr, /\n.*\n.*at /, 'no stack trace');
  }
  t.strictSame(readdirSync(join(cli.root, 'containers')), [], 'nothing is left of any');
});

t.test('the command gets its input, environment, directory, user, and its words as they are', async (t) => {
  const cli = await boxCli(t);
  t.equal(runWith(cli, 'one\ntwo\n', 'run', '--rm', '-i', 'box', 'cat').stdout, 'one\ntwo\n');
  t.equal(runWith(cli, 'ignored', 'run', '--rm', 'box', 'cat').stdout, '');
  writeFileSync(join(cli.base, 'env'), '# comment\nFROM_FILE=1\nCOPIED\n');
  cli.environment.COPIED = 'here';
  const script = 'echo $FROM_FILE $COPIED $GIVEN $HOME; pwd; id; hostname; echo "$@"';
  const args = ['--env-file', 'env', '-e', 'GIVEN=g', '-w', '/srv/new', '-u', 'ann', '--hostname', 'box1'];
  t.equal(
    await cli.ok('run', '--rm', ...args, 'box', 'sh', '-c', script, 'sh', '-x', '--rm', '2'),
    '1 here g /home/ann\n/srv/new\nuid=1000(ann) gid=1001(ann) groups=50(team),1001(ann)\nbox1\n-x --rm 2\n',
  );
  t.equal(await cli.ok('run', '--rm', '--entrypoint', 'echo', 'box', 'a', 'b'), 'a b\n');
});

t.test('mounts: directories, volumes, memory; read-only where asked', async (t) => {
  const cli = await boxCli(t);
  mkdirSync(join(cli.base, 'shared'));
  writeFileSync(join(cli.base, 'shared/f'), 'from outside\n');
  const bind = await cli.run(
    ...['run', '--rm', '-v', `${cli.base}/shared:/s:ro`, '-v', './shared:/w', '-v', 'vol:/vol'],
    ...['--mount', `type=bind,src=${cli.base}/shared/f,dst=/deep/new/f`, '--tmpfs', '/mem:size=64k'],
    ...[
      'box',
      'sh',
      '-c',
      'cat /s/f /deep/new/f; touch /s/x; echo w > /w/made; echo v > /vol/made; df /mem | tail -1',
    ],
  );
  t.match(bind.stdout, /^from outside\nfrom outside\ntmpfs +64 /);
  t.match(bind.stderr, /touch: \/s\/x: Read-only file system/);
  t.equal(readFileSync(join(cli.base, 'shared/made'), 'utf8'), 'w\n');
  t.equal(
    await cli.ok('run', '--rm', '-v', 'vol:/again', 'box', 'cat', '/again/made'),
    'v\n',
    'a volume stays',
  );
  const readOnly = await cli.run(
    'run',
    '--rm',
    '--read-only',
    '--tmpfs',
    '/tmp',
    'box',
    'sh',
    '-c',
    'touch /x; touch /tmp/x && echo tmp',
  );
  t.match(readOnly, { stdout: 'tmp\n', stderr: /touch: \/x: Read-only file system/ });
});

t.test(
  'a new volume begins with what the image has at its place; one without a name goes with its container',
  async (t) => {
    const cli = await boxCli(t);
    const seen = 'stat -c "%u:%g %a" /home/ann; ls /home/ann; echo more > /home/ann/more';
    shell('echo x > box/home/ann/f; chmod 700 box/home/ann; chown 1000:1001 box/home/ann/f', cli.base);
    await cli.ok('import', 'box', 'box');
    t.equal(
      await cli.ok('run', '--rm', '-v', 'kept:/home/ann', 'box', 'sh', '-c', seen),
      '1000:1001 700\nf\n',
    );
    t.equal(
      await cli.ok('run', '--rm', '-v', 'kept:/home/ann', 'box', 'sh', '-c', seen),
      '1000:1001 700\nf\nmore\n',
    );
    t.equal(await cli.ok('run', '--rm', '-v', 'kept:/elsewhere', 'box', 'ls', '/elsewhere'), 'f\nmore\n');
    t.equal(
      await cli.ok('run', '--name', 'c1', '-v', '/home/ann', 'box', 'sh', '-c', seen),
      '1000:1001 700\nf\n',
    );
    t.equal(readdirSync(join(cli.root, 'volumes')).length, 2);
    t.equal(await cli.ok('start', '-a', 'c1'), '1000:1001 700\nf\nmore\n');
    await cli.ok('rm', '-v', 'c1');
    t.strictSame(readdirSync(join(cli.root, 'volumes')), ['kept']);
  },
);

t.test(
  '--read-only holds for the files in /etc too, and not for what is mounted to be written',
  async (t) => {
    for (const runtime of ['builtin', 'runc', 'crun']) {
      const cli = await boxCli(t, scratch(t), runtime === 'crun' ? ONE_CGROUP_VERSION : [PROGRAM]);
      writeFileSync(join(cli.base, 'hosts'), '127.0.0.1 mine\n');
      const script = `for f in /etc/hosts /etc/hostname /etc/resolv.conf /x /sys/x /v/x /t/x /dev/x /dev/shm/x; do
      (echo x >> $f) 2> /dev/null && echo $f; done; true`;
      const writable = async (...options: string[]): Promise<string[]> => {
        const args = ['--runtime', runtime, '-v', 'vol:/v', '--tmpfs', '/t', ...options];
        return (await cli.ok('run', '--rm', ...args, 'box', 'sh', '-c', script)).split('\n').filter(Boolean);
      };
      const files = ['/etc/hosts', '/etc/hostname', '/etc/resolv.conf'];
      const mounted = ['/v/x', '/t/x', '/dev/x', '/dev/shm/x'];
      t.strictSame(await writable(), [...files, '/x', ...mounted], runtime);
      t.strictSame(await writable('--read-only'), mounted, runtime);
      const own = ['--read-only', '-v', './hosts:/etc/hosts', '--tmpfs', '/etc'];
      t.strictSame(await writable(...own), ['/etc/hosts', ...mounted], 'a file of the user is as he says');
    }
  },
);

t.test('a tmpfs has the mode of the directory that it covers, or the one that is given', async (t) => {
  for (const runtime of ['builtin', 'runc', 'crun']) {
    const cli = await boxCli(t, scratch(t), runtime === 'crun' ? ONE_CGROUP_VERSION : [PROGRAM]);
    shell('mkdir -m 750 box/closed; mkdir -m 2775 box/group', cli.base);
    await cli.ok('import', join(cli.base, 'box'), 'box');
    const modes = await cli.ok(
      ...['run', '--rm', '--runtime', runtime, '--tmpfs', '/closed', '--mount', 'type=tmpfs,dst=/group'],
      ...['--tmpfs', '/new', '--tmpfs', '/given:mode=0700,uid=1000,size=64k', 'box'],
      ...['stat', '-c', '%n %a %u', '/closed', '/group', '/new', '/given'],
    );
    // crun before 1.9 leaves it at the kernel's mode.
    const covered = runtime === 'crun' ? '.*\n.*\n' : '/closed 750 0\n/group 2775 0\n';
    t.match(modes, new RegExp(`^${covered}/new 1777 0\n/given 700 1000\n$`), runtime);
    const flags = await cli.ok(
      ...['run', '--rm', '--runtime', runtime, '--tmpfs', '/a', '--tmpfs', '/b:exec,suid,dev,ro', 'box'],
      ...['sh', '-c', "grep -E ' /[ab] ' /proc/mounts | cut -d' ' -f2,4 | cut -d, -f1-4"],
    );
    t.match(flags, /^\/a rw,nosuid,nodev,noexec.*\n\/b ro,relatime/, runtime);
  }
});

t.test(
  'a container holds what Docker gives: namespaces, capabilities, masked and read-only paths, devices',
  async (t) => {
    const cli = await boxCli(t);
    const script = `grep -E 'CapEff|NoNewPrivs|Seccomp:' /proc/self/status; umask
    echo pid $$; ls /dev | tr '\\n' ' '; echo; head -c 1 /proc/kcore | wc -c; echo x > /proc/sys/kernel/hostname || echo sys; touch /sys/x || echo ro
    mknod /tmp/n c 1 3 && (echo x > /tmp/n || echo nodev); mount -t tmpfs x /srv || echo nomount; ls /proc/acpi | wc -l
    ls -la /dev/shm /dev/mqueue > /dev/null && echo shm; cat /etc/hostname; ls -l /proc/self/fd | wc -l; unshare -m true || echo nounshare`;
    const { stdout } = await cli.run('run', '--rm', '--name', 'held', 'box', 'sh', '-c', script);
    t.match(stdout, /CapEff:\t00000000a80425fb\nNoNewPrivs:\t0\nSeccomp:\t2\n0022\npid 1\n/);
    t.match(
      stdout,
      /\n(console )?core fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero \n0\n/,
    );
    t.match(stdout, /\nsys\nro\nnodev\nnomount\n0\nshm\n[0-9a-f]{12}\n/);
    t.match(stdout, /nounshare\n$/);
    const dropped = await cli.ok(
      'run',
      '--rm',
      '--cap-drop',
      'ALL',
      '--cap-add',
      'net_raw',
      'box',
      'grep',
      'CapEff',
      '/proc/self/status',
    );
    t.equal(dropped, 'CapEff:\t0000000000002000\n');
    const locked = await cli.ok(
      'run',
      '--rm',
      '--security-opt',
      'no-new-privileges',
      'box',
      'grep',
      'NoNewPrivs',
      '/proc/self/status',
    );
    t.equal(locked, 'NoNewPrivs:\t1\n');
    const unfiltered = await cli.ok(
      'run',
      '--rm',
      '--security-opt',
      'seccomp=unconfined',
      'box',
      'grep',
      'Seccomp:',
      '/proc/self/status',
    );
    t.equal(unfiltered, 'Seccomp:\t0\n');
    const free = await cli.ok(
      'run',
      '--rm',
      '--privileged',
      'box',
      'sh',
      '-c',
      'grep Seccomp: /proc/self/status; mount -t tmpfs x /srv && ls /dev/fuse',
    );
    t.equal(free, 'Seccomp:\t0\n/dev/fuse\n');
    const user = await cli.ok(
      'run',
      '--rm',
      '-u',
      'ann',
      'box',
      'sh',
      '-c',
      'grep CapEff /proc/self/status; touch /x || echo denied',
    );
    t.match(user, /CapEff:\t0{16}\ndenied\n/);
  },
);

t.test('nothing of the host can be reached from inside', async (t) => {
  const cli = await boxCli(t);
  writeFileSync(join(cli.base, 'secret'), 'secret\n');
  const script = `cat ${cli.base}/secret 2>/dev/null; cat /proc/1/root${cli.base}/secret 2>/dev/null
    ls -d /proc/[0-9]* | wc -l; mount | grep -c ${cli.base}; chroot /proc/1/root ls ${cli.base} 2>/dev/null; cat /proc/1/environ | tr '\\0' '\\n' | grep -c TSOVERLAY`;
  const { stdout } = await cli.run('run', '--rm', 'box', 'sh', '-c', script);
  t.match(stdout, /^[2-5]\n[0-3]\n0\n$/);
  // What an image has where mounts go must not lead them out.
  shell(
    'rm -rf evil; cp -a box evil; rm -rf evil/srv; ln -s /../../../../../../../../tmp evil/srv; ln -s ../../../../etc evil/dev; cp -a evil worse; ln -s / worse/proc',
    cli.base,
  );
  await cli.ok('import', join(cli.base, 'evil'), 'evil');
  await cli.ok('import', join(cli.base, 'worse'), 'worse');
  const mounted = await cli.ok(
    'run',
    '--rm',
    '-v',
    'vol:/srv/target',
    'evil',
    'sh',
    '-c',
    'ls -d /tmp/target /etc/null',
  );
  t.equal(mounted, '/etc/null\n/tmp/target\n');
  t.notOk(existsSync('/tmp/target'), 'not on the host');
  t.notOk(existsSync('/etc/null'), 'not on the host');
  t.match(await cli.run('run', '--rm', 'worse', 'true'), {
    status: 125,
    stderr: /mount at \/proc: the image has a symlink there/,
  });
});

t.test('memory, processors, processes and descriptors are limited', async (t) => {
  const cli = await boxCli(t);
  const eats = await cli.run(
    'run',
    '--rm',
    '--memory',
    '16m',
    'box',
    'sh',
    '-c',
    'head -c 64000000 /dev/zero | tail | wc -c',
  );
  t.notMatch(eats.stdout, '64000000');
  const forks = await cli.run(
    'run',
    '--rm',
    '--pids-limit',
    '5',
    'box',
    'sh',
    '-c',
    'for i in 1 2 3 4 5 6 7 8; do sleep 1 & done; wait',
  );
  t.match(forks.stderr, /can't fork|Resource temporarily unavailable/);
  t.equal(await cli.ok('run', '--rm', '--ulimit', 'nofile=64:64', 'box', 'sh', '-c', 'ulimit -n'), '64\n');
  const timed = await cli.ok(
    'run',
    '--rm',
    '--cpus',
    '0.2',
    'box',
    'sh',
    '-c',
    'time -p sh -c "i=0; while [ \\$i -lt 60000 ]; do i=\\$((i+1)); done" 2>&1',
  );
  const seconds = (name: string): number => Number(new RegExp(`${name} ([\\d.]+)`).exec(timed)![1]);
  t.ok(seconds('real') > 2 * seconds('user'), timed);
});

t.test('--init takes in orphans, and passes signals on', async (t) => {
  const cli = await boxCli(t);
  const script = "(sh -c 'sleep 0.2 & :' &); sleep 0.6; ps -o pid,stat,args; ps | grep -c '\\[sleep\\]'";
  t.match(
    await cli.ok('run', '--rm', '--init', 'box', 'sh', '-c', `${script}; true`),
    /tsoverlay-init -- sh/,
  );
  await cli.ok(
    'run',
    '-d',
    '--name',
    'initiated',
    '--init',
    'box',
    'sh',
    '-c',
    'trap "exit 9" TERM; while :; do sleep 0.1; done',
  );
  await cli.ok('stop', 'initiated');
  t.match(await cli.ok('ps', '-a'), /Exited \(9\)/);
});

t.test('the end of a program is heard that writes a million bytes one by one', async (t) => {
  const cli = await boxCli(t);
  for (const runtime of ['builtin', 'runc']) {
    const words = ['run', '--rm', '--network', 'none', '--runtime', runtime, 'box', 'sh', '-c'];
    for (let time = 0; time < 2; time++) {
      const outcome = await cli.run(...words, 'dd if=/dev/zero bs=1 count=1000000 2>/dev/null; exit 3');
      t.equal(outcome.status, 3, `${runtime}: ${outcome.stderr}`);
      t.equal(outcome.stdout.length, 1_000_000);
    }
  }
});

t.test('who reads slowly reads all of it, also what was written right before the end', async (t) => {
  const cli = await boxCli(t);
  const pad = 'x'.repeat(200);
  const script = `i=0; while :; do i=$((i+1)); echo line $i ${pad}; echo $i > /srv/n; done`;
  const child = spawn(PROGRAM, ['run', '--name', 'c1', 'box', 'sh', '-c', script], {
    env: { ...process.env, ...cli.environment },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const closed = once(child, 'close');
  const count = (): number => Number(shell(`cat ${cli.root}/containers/*/upper/srv/n 2>/dev/null || echo 0`));
  let before = 0;
  let looks = 0;
  // Until every pipe on the way is full.
  await until(() => {
    const now = count();
    looks = now > 0 && now === before ? looks + 1 : 0;
    before = now;
    return looks > 20;
  }, 'the program to be held up');
  const { pid } = (await containerOf(cli, 'c1')).readWrittenState();
  const stopping = cli.ok('stop', '-t', '0', 'c1');
  await ended(pid);
  // Longer than anybody is waited for who holds the streams and is silent.
  await delay(1.5 * LAST_WORDS_MS);
  await stopping;
  const shown = await text(child.stdout);
  t.strictSame(await closed, [137, null]);
  const lines = shown.split('\n').filter((line) => line.endsWith(pad)).length;
  t.ok(lines >= before, `${lines} of ${before} lines`);
  t.equal(lines, (await cli.ok('logs', 'c1')).split('\n').filter((line) => line.endsWith(pad)).length);
});
