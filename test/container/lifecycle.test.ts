// SPDX-License-Identifier: MIT
/** The life of a container: states, signals, logs, restarts, and what is true after a crash. */
import { mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { boxCli, census, containerOf, leftSince, shimOf } from '../support/containers.js';
import { ended, shell, until } from '../support/ground.js';
import type { Cli } from '../support/images.js';

const COUNT =
  'i=0; trap "echo bye; exit 3" TERM; while :; do i=$((i+1)); echo line $i; echo err $i >&2; sleep 0.05; done';

async function state(
  cli: Cli,
  name: string,
): Promise<{ Status: string; ExitCode: number; Pid: number; Error: string }> {
  return JSON.parse(await cli.ok('inspect', '-f', '{{json .State}}', name));
}

t.test(
  'created, running, paused, running, exited, running again with what was written, removed',
  async (t) => {
    const cli = await boxCli(t);
    const before = census(cli);
    const id = (
      await cli.ok(
        'create',
        '--name',
        'one',
        '-l',
        'k=v',
        'box',
        'sh',
        '-c',
        `echo start >> /kept; cat /kept; ${COUNT}`,
      )
    ).trim();
    t.match(id, /^[0-9a-f]{64}$/);
    t.match(await state(cli, 'one'), { Status: 'created', Pid: 0 });
    t.match(await cli.run('rm', '-f', 'onne'), {
      status: 1,
      stderr: /find container onne: there is no such container; did you mean one\?/,
    });
    t.equal(await cli.ok('start', 'one'), 'one\n');
    t.match(await state(cli, 'one'), { Status: 'running' });
    t.match(await cli.ok('ps'), /one$/m);
    t.match(
      await cli.ok('ps', '--format', '{{.Names}} {{.State}} {{.Labels}}', '-f', 'label=k'),
      'one running k=v',
    );
    t.equal(await cli.ok('ps', '-q', '-f', 'status=exited'), '');
    await cli.ok('pause', 'one');
    const stopped = (await cli.ok('logs', 'one')).length;
    t.match(await cli.ok('ps'), /\(Paused\)/);
    t.match(await cli.run('exec', 'one', 'true'), { status: 125, stderr: /it is paused; let it go on with/ });
    t.equal((await cli.ok('logs', 'one')).length, stopped, 'nothing is written while it is paused');
    await cli.ok('unpause', 'one');
    await until(
      () => readFileSync(join(cli.root, 'containers', id, 'log')).length > stopped,
      'more to be written',
    );
    t.equal(await cli.ok('stop', 'one'), 'one\n');
    t.match(await state(cli, 'one'), { Status: 'exited', ExitCode: 3, Pid: 0 });
    t.equal(await cli.ok('wait', 'one'), '3\n');
    const first = await cli.run('logs', 'one');
    t.match(first.stdout, /^start\nline 1\nline 2\n[\s\S]*\nbye\n$/);
    t.match(first.stderr, /^err 1\nerr 2\n/);
    t.equal((await cli.run('logs', '--tail', '1', 'one')).stdout, 'bye\n');
    t.match((await cli.run('logs', '-t', '--tail', '1', 'one')).stdout, /^\d{4}-\d\d-\d\dT[\d:.]+Z bye\n$/);
    await cli.ok('start', 'one');
    await cli.ok('kill', '-s', 'TERM', 'one');
    t.equal(await cli.ok('wait', 'one'), '3\n');
    t.match(
      (await cli.run('logs', 'one')).stdout,
      /bye\nstart\nstart\nline 1\n/,
      'the file and the log go on',
    );
    t.match(await cli.run('start', '-a', 'nothing'), { status: 1 });
    await cli.ok('rename', 'one', 'uno');
    t.match(await cli.ok('inspect', '-f', '{{.Name}} {{.RestartCount}}', 'uno'), '/uno 0');
    await cli.ok('rm', 'uno');
    t.strictSame(await leftSince(before, cli), []);
  },
);

t.test('a new name has two characters or more, and what a store has by a shorter one is used', async (t) => {
  const cli = await boxCli(t);
  await cli.ok('create', '--name', 'c1', '-v', 'v1:/data', 'box', 'sh', '-c', 'echo kept > /data/f');
  for (const name of ['c', '', '_c', 'c/', 'ü1', 'a'.repeat(129)]) {
    const stderr = /cannot be the name of a container.*a name has two characters or more/s;
    t.match(await cli.run('create', '--name', name, 'box'), { status: 125, stderr }, `create ${name}`);
    t.match(await cli.run('rename', 'c1', name), { status: 2, stderr }, `rename ${name}`);
  }
  for (const option of [
    ['-v', 'v:/data'],
    ['--mount', 'src=v,dst=/data'],
  ]) {
    const stderr = /cannot be the name of a volume.*a name has two characters or more/s;
    t.match(await cli.run('run', ...option, 'box'), { status: 125, stderr }, option.join(' '));
  }
  t.equal(await cli.ok('ps', '-a', '--format', '{{.Names}}'), 'c1\n', 'nothing was made');
  await cli.ok('start', '-a', 'c1');
  // As they were made before.
  const { directory } = await containerOf(cli, 'c1');
  const file = join(directory, 'container.json');
  writeFileSync(file, JSON.stringify({ ...JSON.parse(readFileSync(file, 'utf8')), name: 'c' }));
  renameSync(join(cli.root, 'volumes/v1'), join(cli.root, 'volumes/v'));
  t.equal(await cli.ok('run', '--rm', '-v', 'v:/data', 'box', 'cat', '/data/f'), 'kept\n');
  await cli.ok('start', 'c');
  t.equal(await cli.ok('wait', 'c'), '0\n');
  await cli.ok('rm', 'c');
  t.equal(await cli.ok('ps', '-aq'), '');
});

t.test('two containers of one image change the same file and see only their own', async (t) => {
  const cli = await boxCli(t);
  const script = 'echo $0 > /etc/shared; sleep 0.3; cat /etc/shared /etc/passwd | head -2; sleep 100';
  await cli.ok('run', '-d', '--name', 'a1', 'box', 'sh', '-c', script, 'mine-a1');
  await cli.ok('run', '-d', '--name', 'b1', 'box', 'sh', '-c', script, 'mine-b1');
  for (const name of ['a1', 'b1']) {
    await cli.ok('exec', name, 'sh', '-c', `echo more-${name} >> /etc/passwd`);
    t.equal(await cli.ok('exec', name, 'cat', '/etc/shared'), `mine-${name}\n`);
    t.match(await cli.ok('exec', name, 'cat', '/etc/passwd'), new RegExp(`more-${name}\n$`));
  }
  t.notMatch(await cli.ok('exec', 'a1', 'cat', '/etc/passwd'), 'more-b');
  t.notMatch(await cli.ok('run', '--rm', 'box', 'cat', '/etc/passwd'), 'more-');
});

t.test('logs follow what is written until the end; since and until cut it', async (t) => {
  const cli = await boxCli(t);
  const script = 'echo first; sleep 1; echo second; echo error >&2; sleep 0.5; printf last';
  await cli.ok('run', '-d', '--name', 'talks', 'box', 'sh', '-c', script);
  const began = Date.now();
  const followed = await cli.run('logs', '-f', 'talks');
  t.match(followed, { status: 0, stdout: 'first\nsecond\nlast', stderr: 'error\n' });
  t.ok(Date.now() - began > 500, 'it went on until the container had ended');
  const [moment] = (await cli.ok('logs', '-t', '--tail', '1', 'talks')).split(' ');
  t.equal((await cli.run('logs', '--since', moment, 'talks')).stdout, 'last');
  t.equal((await cli.run('logs', '--until', '10m', 'talks')).stdout, '', 'nothing is older than ten minutes');
  t.match(await cli.run('logs', '--tail', 'some', 'talks'), {
    status: 2,
    stderr: /--tail some is not possible/,
  });
});

t.test('stop waits, then kills; several at once, and mistakes among them', async (t) => {
  const cli = await boxCli(t);
  await cli.ok('run', '-d', '--name', 'deaf', 'box', 'sh', '-c', 'trap "" TERM; while :; do sleep 0.1; done');
  await cli.ok(
    'run',
    '-d',
    '--name',
    'quit',
    '--stop-signal',
    'QUIT',
    'box',
    'sh',
    '-c',
    'trap "exit 7" QUIT; while :; do sleep 0.1; done',
  );
  t.match(await cli.run('rm', 'deaf'), {
    status: 1,
    stderr: /it is running; stop it first with `tsoverlay stop deaf`, or give --force/,
  });
  const began = Date.now();
  const stop = await cli.run('stop', '-t', '1', 'deaf', 'none', 'quit');
  t.ok(Date.now() - began >= 1000);
  t.match(stop, { status: 1, stdout: 'deaf\nquit\n', stderr: /none: there is no such container/ });
  t.match(await state(cli, 'deaf'), { ExitCode: 137 });
  t.match(await state(cli, 'quit'), { ExitCode: 7 });
  t.equal((await cli.run('stop', 'quit')).status, 0, 'what is stopped already is stopped');
  t.match(await cli.run('kill', 'quit'), { status: 1, stderr: /it is not running; start it with/ });
  t.match(await cli.run('kill', '-s', 'NOSUCH', 'quit'), { status: 1, stderr: /there is no such signal/ });
  t.match(await cli.run('pause', 'quit'), { status: 1, stderr: /it is not running/ });
  t.match(await cli.ok('container', 'prune', '-f', '--filter', 'label=none'), 'Total reclaimed space: 0B');
  t.match(await cli.ok('container', 'prune', '-f'), /^Deleted Containers:\n[0-9a-f]{64}\n[0-9a-f]{64}\n/);
  t.equal(await cli.ok('ps', '-aq'), '');
});

t.test(
  'what ps and images cannot filter by is refused, whether there is something to list or not',
  async (t) => {
    const cli = await boxCli(t);
    const refused = async (command: string, filter: string, stderr: RegExp, status = 2): Promise<boolean> =>
      t.match(await cli.run(command, '--filter', filter), { status, stdout: '', stderr }, filter);
    for (const filter of ['status=bogus', 'status=', 'health=good', 'exited=x', 'is-task=maybe'])
      await refused('ps', filter, new RegExp(`--filter ${filter} is not possible; it is `));
    await refused('ps', 'publish=x', /--filter publish=x: x is not a port/);
    await refused('ps', 'expose=1.2.3.4:80', /is not a port/);
    await refused('ps', 'uptime=1', /there is no filter uptime=1; filters are name=…/);
    for (const filter of ['before=nobody', 'since=nobody'])
      await refused('ps', filter, /nobody: there is no such container/, 1);
    await refused('images', 'dangling=maybe', /--filter dangling=maybe is not possible; it is true or false/);
    await refused('images', 'until=soon', /soon is not a moment/);
    for (const filter of ['before=nobody', 'since=nobody']) await refused('images', filter, /nobody/, 1);

    await cli.ok('create', '--name', 'first', '-l', 'kind=a=b', 'box', 'true');
    await cli.ok('run', '-d', '--name', 'second', '-p', '127.0.0.1:0:80', 'box', 'sleep', '1000');
    const listed = async (...filters: string[]): Promise<string> =>
      (await cli.ok('ps', '-a', '--format', '{{.Names}}', ...filters.flatMap((one) => ['-f', one])))
        .trim()
        .split('\n')
        .join(' ');
    const [, port] = (await cli.ok('port', 'second')).trim().split(/:(?=\d+$)/);
    const cases: [filters: string[], names: string][] = [
      [['name=^/first$'], 'first'],
      [['name=[', 'name=first'], 'first'],
      [['status=created', 'status=dead'], 'first'],
      [['health=none'], 'second first'],
      [['health=healthy'], ''],
      [['label=kind=a=b'], 'first'],
      [['since=first'], 'second'],
      [['before=second'], 'first'],
      [[`publish=${port}`], 'second'],
      [[`publish=${port}/udp`], ''],
      [['expose=79-81/tcp'], 'second'],
      [['is-task=false'], 'second first'],
    ];
    for (const [filters, names] of cases) t.equal(await listed(...filters), names, filters.join(' and '));
    t.match(await cli.run('stop', '-t', '0.5', 'second'), {
      status: 2,
      stderr: /--time 0.5 is not a whole number; give seconds, or -1 to wait for ever/,
    });
    t.equal(await listed('status=running'), 'second', 'and it still runs');
    t.equal(await cli.ok('stop', '-t', '0x0', 'second'), 'second\n');
  },
);

t.test('the options of run are judged before an image is looked for', async (t) => {
  const cli = await boxCli(t);
  const image = '127.0.0.1:1/none';
  for (const [option, value, reason] of [
    ['-p', '80/sctp', /--publish 80\/sctp: sctp is not supported/],
    ['--memory', '1k', /--memory 1k is too little/],
    ['--restart', 'often', /--restart often is not a restart policy/],
    ['--name', '-x', /"-x" cannot be the name of a container/],
    ['--env-file', '/none', /\/none/],
    ['--stop-timeout', '1.5', /--stop-timeout 1.5 is not a whole number/],
  ] as const) {
    const { stdout, stderr } = await cli.run('run', `${option}=${value}`, image);
    t.match(stderr, reason);
    t.notMatch(stderr, /Unable to find image/, `${option}: nothing is pulled`);
    t.equal(stdout, '');
  }
});

t.test('restart policies: until it works, so many times, always but when it was stopped', async (t) => {
  const cli = await boxCli(t);
  const script = 'echo x >> /n; [ $(wc -l < /n) -ge 3 ]';
  await cli.ok('run', '-d', '--name', 'third', '--restart', 'on-failure', 'box', 'sh', '-c', script);
  t.equal(await cli.ok('wait', 'third'), '0\n');
  t.equal((await cli.ok('inspect', '-f', '{{.RestartCount}}', 'third')).trim(), '2');
  await cli.ok('run', '-d', '--name', 'twice', '--restart', 'on-failure:2', 'box', 'false');
  t.equal(await cli.ok('wait', 'twice'), '1\n');
  t.equal((await cli.ok('inspect', '-f', '{{.RestartCount}}', 'twice')).trim(), '2');
  await cli.ok(
    'run',
    '-d',
    '--name',
    'always',
    '--restart',
    'always',
    'box',
    'sh',
    '-c',
    'echo again; sleep 0.1',
  );
  const id = (await cli.ok('inspect', '-f', '{{.Id}}', 'always')).trim();
  const runs = (): number =>
    readFileSync(join(cli.root, 'containers', id, 'log'), 'utf8').split('again').length - 1;
  await until(() => runs() >= 3, 'three runs');
  await cli.ok('stop', 'always');
  const count = runs();
  t.match(await state(cli, 'always'), { Status: 'exited' });
  t.equal(runs(), count, 'a stopped one stays so');
  await cli.ok('restart', 'always');
  await until(() => runs() > count, 'another run');
});

t.test('a container whose server and shim were killed has ended, is told so, and starts again', async (t) => {
  const cli = await boxCli(t);
  for (const runtime of ['builtin', 'runc']) {
    const before = census(cli);
    await cli.ok(
      'run',
      '-d',
      '--name',
      'lost',
      '--runtime',
      runtime,
      '-p',
      '0:80',
      'box',
      'sh',
      '-c',
      'echo run >> /kept; sleep 1000',
    );
    const { Pid } = await state(cli, 'lost');
    const lost = await containerOf(cli, 'lost');
    const both = [shimOf(lost), lost.readWrittenState().serverPid];
    for (const pid of both) process.kill(pid, 'SIGSTOP');
    for (const pid of both) process.kill(pid, 'SIGKILL');
    for (const pid of both) await ended(pid);
    t.match(await state(cli, 'lost'), {
      Status: 'exited',
      ExitCode: 137,
      Pid: 0,
      Error: /its server was killed/,
    });
    await ended(Pid);
    t.match(await cli.ok('ps', '-a'), /Exited \(137\)/);
    t.match(await cli.run('exec', 'lost', 'true'), {
      status: 125,
      stderr: /it is not running; start it with/,
    });
    await cli.ok('start', 'lost');
    t.equal(await cli.ok('exec', 'lost', 'cat', '/kept'), 'run\nrun\n');
    await cli.ok('rm', '-f', 'lost');
    t.strictSame(await leftSince(before, cli), [], runtime);
  }
});

t.test('one that could not be started stays as created and says why; with --rm it is removed', async (t) => {
  const cli = await boxCli(t);
  const before = census(cli);
  for (const runtime of ['builtin', 'runc']) {
    const make = (name: string, ...words: string[]): string[] => [
      '--runtime',
      runtime,
      '--name',
      name,
      ...words,
    ];
    t.match(await cli.run('run', ...make('missing', 'box', 'nosuch')), { status: 127, stdout: '' }, runtime);
    t.match(await state(cli, 'missing'), { Status: 'created', ExitCode: 127, Pid: 0, Error: /nosuch/ });
    t.match(await cli.ok('ps', '-a', '--format', '{{.Names}} {{.Status}}'), /^missing Created\n$/);
    t.match(await cli.run('start', 'missing'), { status: 1, stderr: /nosuch/ }, 'it can be tried again');
    t.equal(await cli.ok('logs', 'missing'), '');
    t.match(await cli.run('run', ...make('missing', 'box', 'true')), { status: 125, stderr: /missing/ });
    await cli.ok('rm', 'missing');
    const detached = await cli.run('run', '-d', ...make('refused', 'box', '/etc/passwd'));
    t.match(detached, { status: 126, stdout: /^[0-9a-f]{64}\n$/ }, 'its id is said');
    t.match(await state(cli, 'refused'), { Status: 'created', ExitCode: 126 });
    await cli.ok('rm', detached.stdout.trim());
    for (const way of [[], ['-d']]) {
      const gone = await cli.run('run', '--rm', ...way, ...make('gone', 'box', 'nosuch'));
      t.match(gone, { status: 127, stdout: '' });
    }
    await cli.ok('create', '--rm', ...make('later', 'box', 'nosuch'));
    t.match(await cli.run('start', 'later'), { status: 1, stderr: /nosuch/ });
    t.strictSame(readdirSync(join(cli.root, 'containers')), [], '--rm also holds for a start that fails');
  }
  t.match(await cli.run('run', '--name', 'place', '-v', '/nowhere/x:/x', 'box', 'true'), { status: 125 });
  t.match(await state(cli, 'place'), { Status: 'created', ExitCode: 128, Error: /nowhere/ });
  mkdirSync(join(cli.base, 'late'));
  await cli.run('run', '--name', 'mended', '-v', './late/x:/x', 'box', 'cat', '/x/f');
  shell('mkdir x; echo there > x/f', join(cli.base, 'late'));
  t.equal(await cli.ok('start', '-a', 'mended'), 'there\n', 'it starts when what was missing is there');
  await cli.ok('rm', 'place', 'mended');
  t.strictSame(await leftSince(before, cli), []);
});

t.test('what is damaged is named, and can be removed', async (t) => {
  const cli = await boxCli(t);
  const id = (await cli.ok('create', '--name', 'hurt', 'box', 'true')).trim();
  writeFileSync(join(cli.root, 'containers', id, 'state.json'), '{"status": "runn');
  t.match(await cli.run('ps', '-a'), {
    status: 1,
    stderr: /remove the container with `tsoverlay rm -f [0-9a-f]{12}`/,
  });
  t.match(await cli.run('start', 'hurt'), { status: 1, stderr: /state\.json/ });
  writeFileSync(join(cli.root, 'containers', id, 'container.json'), '');
  t.match(await cli.run('ps', '-a'), { status: 1, stderr: /container\.json/ });
  await cli.ok('rm', '-f', id.slice(0, 12));
  const other = (await cli.ok('create', 'box', 'true')).trim();
  writeFileSync(join(cli.root, 'containers', other, 'state.json'), '');
  await cli.ok('rm', '-f', other);
  t.strictSame(readdirSync(join(cli.root, 'containers')), []);
});

t.test('an image that containers have is kept for them, also when it is removed by force', async (t) => {
  const cli = await boxCli(t);
  await cli.ok('create', '--name', 'user', 'box', 'echo', 'still here');
  t.match(await cli.run('rmi', 'box'), {
    status: 1,
    stderr: /container user was made of it; remove it first with `tsoverlay rm user`, or give --force/,
  });
  await cli.ok('rmi', '-f', 'box');
  t.equal(await cli.ok('images', '-q'), '');
  t.equal(await cli.ok('start', '-a', 'user'), 'still here\n');
  t.match(await cli.run('commit', 'user', 'new'), {
    status: 1,
    stderr: /its image box was removed from the store; get the image again/,
  });
  t.equal(readdirSync(join(cli.root, 'layers')).length, 1);
  await cli.ok('rm', 'user');
  t.strictSame(readdirSync(join(cli.root, 'layers')), [], 'the layers go with the last container');
});

t.test('top, stats and inspect tell what runs', async (t) => {
  const cli = await boxCli(t);
  await cli.ok(
    'run',
    '-d',
    '--name',
    'busy',
    '--memory',
    '64m',
    '-p',
    '127.0.0.1:0:80/udp',
    '-v',
    'vol:/v:ro',
    'box',
    'sh',
    '-c',
    'sleep 1000 & while :; do :; done',
  );
  t.match(await cli.ok('top', 'busy'), /^UID +PID +PPID +TIME +CMD\n0 .* sh -c .*\n0 .* sleep 1000\n$/);
  const format = '{{.Name}} {{.CPUPerc}} {{.MemUsage}} {{.PIDs}}';
  // The machine may have others to run in one second, not for ever.
  for (let share = 0; share <= 20; ) {
    const [line] = (await cli.ok('stats', '--no-stream', '--format', format)).split('\n');
    const [, percentage, limit, pids] = /^busy ([\d.]+)% .* \/ ([\d.]+) MiB (\d)$/.exec(line) ?? [];
    t.strictSame([limit, pids], ['64.0', '2'], line);
    share = Number(percentage);
  }
  t.match(JSON.parse(await cli.ok('inspect', 'busy')), [
    {
      Name: '/busy',
      State: { Running: true },
      HostConfig: { Memory: 64 << 20, NetworkMode: 'bridge', Runtime: 'builtin' },
      GraphDriver: { Name: 'tsoverlay', Data: { UpperDir: /upper$/ } },
      Mounts: [{ Type: 'volume', Name: 'vol', Destination: '/v', RW: false }],
      NetworkSettings: {
        Ports: { '80/udp': [{ HostIp: '127.0.0.1', HostPort: /^\d+$/ }] },
        IPAddress: /^10\./,
      },
    },
  ]);
});
