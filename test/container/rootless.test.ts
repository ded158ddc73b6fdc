// SPDX-License-Identifier: MIT
/** Containers of an ordinary user: one user namespace for all of them, and no help from root. */
import { readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { Cgroup } from '../../lib/container/cgroup/cgroup.js';
import { page } from '../support/containers.js';
import { run, shell } from '../support/ground.js';
import { ordinaryBoxCli } from '../support/ordinary-user.js';

t.test('root of a container is the user outside, other users are from the ranges', async (t) => {
  const cli = await ordinaryBoxCli(t);
  // One of root's: what an ordinary user sees of it is the parent that they share, which is not theirs to remove.
  const ofRoot = new Cgroup(`root-${process.pid}`);
  t.teardown(() => ofRoot.remove());
  t.ok(ofRoot.create({}));
  const uid = run('id', '-u', 'tsoverlay-test').trim();
  t.match(
    await cli.ok('run', '--rm', 'box', 'cat', '/proc/self/uid_map'),
    new RegExp(`^ +0 +${uid} +1\n +1 +\\d+ +65535\n$`),
  );
  t.equal(
    await cli.ok('run', '--rm', '-u', 'ann', 'box', 'sh', '-c', 'id -u; touch ~/x; stat -c %u ~/x'),
    '1000\n1000\n',
  );
  await cli.ok('run', '-d', '--name', 'a1', 'box', 'sh', '-c', 'touch /mine; chown 33:33 /mine; sleep 1000');
  await cli.ok('run', '-d', '--name', 'b1', 'box', 'sleep', '1000');
  const [first, second] = (await cli.ok('inspect', '-f', '{{.State.Pid}}', 'a1', 'b1')).trim().split('\n');
  t.equal(
    readlinkSync(`/proc/${first}/ns/user`),
    readlinkSync(`/proc/${second}/ns/user`),
    'they share a namespace',
  );
  t.not(readlinkSync(`/proc/${first}/ns/user`), readlinkSync('/proc/self/ns/user'));
  t.match(await cli.ok('top', 'a1'), /sleep 1000/);
  t.match(await cli.run('rm', '-f', 'a1', 'b1'), { status: 0, stderr: '' });
});

t.test('ports are published through the user network, names are resolved by the host', async (t) => {
  const cli = await ordinaryBoxCli(t);
  await cli.ok(
    'run',
    '-d',
    '--name',
    'web',
    '-p',
    '127.0.0.1:0:80',
    'box',
    'sh',
    '-c',
    'mkdir /www; echo page > /www/index.html; exec httpd -f -h /www',
  );
  const port = /:(\d+)$/m.exec(await cli.ok('port', 'web'))![1];
  t.equal(await page(`http://127.0.0.1:${port}/`), 'page\n');
  t.match(
    await cli.ok('exec', 'web', 'cat', '/etc/resolv.conf', '/etc/hosts'),
    /nameserver 10\.0\.2\.3\n[\s\S]*10\.0\.2\.100\t.* web\n/,
  );
  t.match(await cli.run('run', '--rm', '-p', `127.0.0.1:${port}:80`, 'box', 'true'), {
    status: 125,
    stderr: /container web has it/,
  });
  t.match(await cli.run('run', '--rm', '-p', '80:80', 'box', 'true'), {
    status: 125,
    stderr: /ports below 1024 are for root|taken/,
  });
});

t.test('copies, changes and commits of containers that run and that do not', async (t) => {
  const cli = await ordinaryBoxCli(t);
  writeFileSync(join(cli.base, 'f'), 'from outside\n');
  await cli.ok('run', '-d', '--name', 'c1', '-v', 'vol:/vol', 'box', 'sh', '-c', 'echo x > /x; sleep 1000');
  for (const place of ['/in', '/vol/in']) await cli.ok('cp', 'f', `c1:${place}`);
  t.equal(await cli.ok('exec', 'c1', 'cat', '/in', '/vol/in'), 'from outside\nfrom outside\n');
  await cli.ok('stop', '-t', '0', 'c1');
  await cli.ok('cp', 'c1:/in', 'home/out');
  t.equal(shell('cat home/out; stat -c %U home/out', cli.base), 'from outside\ntsoverlay-test\n');
  t.match(await cli.ok('diff', 'c1'), /^C \/etc\nA \/in\nA \/vol\nA \/x\n$/);
  await cli.ok('commit', 'c1', 'kept');
  t.equal(await cli.ok('run', '--rm', 'kept', 'cat', '/in', '/x'), 'from outside\nx\n');
  for (const driver of ['overlay', 'vfs'])
    t.equal(
      await cli.ok(
        'run',
        '--rm',
        '--storage-driver',
        driver,
        'kept',
        'sh',
        '-c',
        'mv /bin /usr; /usr/cat /x',
      ),
      'x\n',
      driver,
    );
});

t.test('what a user may not have is said, with what can be done', async (t) => {
  const cli = await ordinaryBoxCli(t);
  t.match(await cli.run('run', '--rm', '-m', '64m', 'box', 'true'), {
    status: 125,
    stderr: /limit the container.*run it without limits, or as root/,
  });
  await cli.ok('run', '-d', '--name', 'c1', 'box', 'sleep', '1000');
  t.match(await cli.run('pause', 'c1'), {
    status: 1,
    stderr: /it has no cgroup to be frozen in; run it as root/,
  });
  t.equal(
    await cli.ok(
      'run',
      '--rm',
      '--network',
      'host',
      'box',
      'sh',
      '-c',
      'ls /sys/class/net | wc -l | grep -v "^1$" > /dev/null; echo host',
    ),
    'host\n',
  );
  shell('sed -i /^tsoverlay-test:/d /etc/subuid /etc/subgid');
  await cli.ok('rm', '-f', 'c1');
  t.equal(
    await cli.ok('run', '--rm', '--network', 'none', 'box', 'id', '-u'),
    '0\n',
    'without ranges root alone is there',
  );
  t.match(await cli.run('run', '--rm', '--network', 'none', '-u', 'ann', 'box', 'true'), {
    status: 125,
    stderr: /in a user namespace only its users can be had/,
  });
});
