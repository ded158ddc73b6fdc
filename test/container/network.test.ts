// SPDX-License-Identifier: MIT
/** Networks of containers: the bridge and its names, published ports, the host's, none, another container's. */
import { spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { createServer } from 'node:net';
import t from 'tap';
import { boxCli, census, fetchPage, leftSince, page } from '../support/containers.js';
import { run, until } from '../support/ground.js';
import type { Cli } from '../support/images.js';

const SERVE = 'mkdir -p /www; hostname > /www/index.html; exec httpd -f -p 80 -h /www';

async function publishedPort(cli: Cli, name: string): Promise<number> {
  return Number(/:(\d+)$/m.exec(await cli.ok('port', name))![1]);
}

t.test('containers reach each other by name, as long as they run', async (t) => {
  const cli = await boxCli(t);
  const before = census(cli);
  await cli.ok('run', '-d', '--name', 'web', '--hostname', 'webhost', 'box', 'sh', '-c', SERVE);
  await cli.ok('run', '-d', '--name', 'client', '--add-host', 'extra:10.1.2.3', 'box', 'sleep', '1000');
  const fetch = [
    'exec',
    'client',
    'sh',
    '-c',
    'for i in 1 2 3 4 5 6 7 8 9; do wget -q -O - http://$0/ && exit 0; sleep 0.1; done; exit 1',
  ];
  t.equal(await cli.ok(...fetch, 'web'), 'webhost\n');
  t.equal(await cli.ok(...fetch, 'webhost'), 'webhost\n');
  t.match(await cli.ok('exec', 'client', 'cat', '/etc/hosts'), /^10\.1\.2\.3\textra$/m);
  await cli.ok('run', '-d', '--name', 'late', 'box', 'sh', '-c', SERVE);
  t.match(await cli.ok(...fetch, 'late'), /^[0-9a-f]{12}\n$/, 'one that came later is found too');
  await cli.ok('rm', '-f', 'late');
  await until(
    () =>
      run('sh', '-c', `grep -c late ${cli.root}/containers/*/hosts || true`)
        .split('\n')
        .every((line) => line === '' || line.endsWith(':0')),
    'the name to go',
  );
  const masquerades = (): string => run('iptables', '-t', 'nat', '-S', 'POSTROUTING');
  const [device] = /tso[0-9a-f]{10}/.exec(masquerades()) ?? [];
  t.match(
    masquerades(),
    new RegExp(`-s 10\\.\\d+\\.\\d+\\.0/20 ! -o ${device} -j MASQUERADE`),
    'the way out',
  );
  const addresses = await cli.ok('inspect', '-f', '{{.NetworkSettings.IPAddress}}', 'web', 'client');
  t.equal(new Set(addresses.trim().split('\n')).size, 2);
  await cli.ok('rm', '-f', 'web', 'client');
  t.strictSame(await leftSince(before, cli), [], 'bridge, veths and addresses are gone');
  t.notMatch(masquerades(), device, 'and the rules');
});

t.test('TCP ports are published, seen by port and ps, refused when taken, and given back', async (t) => {
  const cli = await boxCli(t);
  const taken = createServer();
  const free = await new Promise<number>((resolve) =>
    taken.listen(0, '127.0.0.1', () => resolve((taken.address() as { port: number }).port)),
  );
  const before = census(cli);
  t.match(await cli.run('run', '-d', '-p', `127.0.0.1:${free}:80`, 'box', 'sleep', '9'), {
    status: 125,
    stderr: new RegExp(`publish port 127.0.0.1:${free}/tcp: the port is taken; choose another with -p`),
  });
  t.strictSame(await leftSince(before, cli), [], 'nothing was created');
  await new Promise((resolve) => taken.close(resolve));
  await cli.ok('run', '-d', '--name', 'web', '-p', `127.0.0.1:${free}:80`, 'box', 'sh', '-c', SERVE);
  t.match(await page(`http://127.0.0.1:${free}/`), /^[0-9a-f]{12}\n$/);
  t.equal(await cli.ok('port', 'web'), `80/tcp -> 127.0.0.1:${free}\n`);
  t.equal(await cli.ok('port', 'web', '80'), `127.0.0.1:${free}\n`);
  t.match(await cli.run('port', 'web', '81'), { status: 1, stderr: /web publishes no such port/ });
  t.match(await cli.ok('ps'), new RegExp(`127.0.0.1:${free}->80/tcp`));
  const second = await cli.run('run', '-d', '-p', `${free}:80`, 'box', 'sleep', '9');
  t.match(second, {
    status: 125,
    stderr: new RegExp(`publish port ${free}/tcp: container web has it; choose another with -p, or stop it`),
  });
  t.equal(await cli.ok('ps', '-aq', '-f', 'status=created'), '', 'nothing was created');
  await cli.ok('stop', '-t', '0', 'web');
  t.equal(fetchPage(`http://127.0.0.1:${free}/`), '');
  await cli.ok('start', 'web');
  t.match(await page(`http://127.0.0.1:${free}/`), /^[0-9a-f]{12}\n$/, 'the same port after a restart');
});

t.test('of a range of ports the first that is free is taken, by each container another', async (t) => {
  const cli = await boxCli(t);
  const taken = createServer();
  const first = await new Promise<number>((resolve) =>
    taken.listen(0, '127.0.0.1', () => resolve((taken.address() as { port: number }).port)),
  );
  t.teardown(() => taken.close());
  const range = `127.0.0.1:${first}-${first + 20}:80`;
  for (const name of ['web', 'other'])
    await cli.ok('run', '-d', '--name', name, '-p', range, 'box', 'sh', '-c', SERVE);
  const [port, other] = [await publishedPort(cli, 'web'), await publishedPort(cli, 'other')];
  t.ok(first < port && port < other && other <= first + 20, `${first} < ${port} < ${other}`);
  t.match(await page(`http://127.0.0.1:${port}/`), /^[0-9a-f]{12}\n$/);
  t.match(await cli.ok('ps'), new RegExp(`127.0.0.1:${port}->80/tcp`));
  const bindings = await cli.ok('inspect', '-f', '{{json .HostConfig.PortBindings}}', 'web');
  t.strictSame(JSON.parse(bindings), {
    '80/tcp': [{ HostIp: '127.0.0.1', HostPort: `${first}-${first + 20}` }],
  });
  t.match(await cli.run('run', '-d', '-p', `127.0.0.1:${first}-${other}:80`, 'box', 'sleep', '9'), {
    status: 125,
    stderr: new RegExp(`publish port 127.0.0.1:${first}-${other}/tcp: every port of the range is taken`),
  });
});

t.test('a large download passes the proxy whole, and many connections at once', async (t) => {
  const cli = await boxCli(t);
  const script = 'mkdir -p /www; head -c 30000000 /dev/zero > /www/big; exec httpd -f -p 80 -h /www';
  await cli.ok('run', '-d', '--name', 'web', '-p', '127.0.0.1:0:80', 'box', 'sh', '-c', script);
  const url = `http://127.0.0.1:${await publishedPort(cli, 'web')}/big`;
  await page(url);
  const sizes = await Promise.all(
    Array.from({ length: 8 }, () => {
      const child = spawn('sh', ['-c', `curl -s ${url} | wc -c`], { stdio: ['ignore', 'pipe', 'ignore'] });
      return new Promise<string>((resolve) =>
        child.stdout.once('data', (chunk: Buffer) => resolve(chunk.toString().trim())),
      );
    }),
  );
  t.strictSame(
    sizes,
    Array.from({ length: 8 }, () => '30000000'),
  );
});

/** Python of this machine, in a container that has none. */
const PYTHON = ['/usr', '/lib', '/lib64'].flatMap((path) => ['-v', `${path}:${path}:ro`]);
const UDP_ECHO = `import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(('', 7777))
while True:
    data, peer = s.recvfrom(65536)
    s.sendto(data, peer)`;

t.test('UDP ports: questions reach the container, answers find back', async (t) => {
  const cli = await boxCli(t);
  const options = ['--name', 'echo', '-p', '127.0.0.1:0:7777/udp', ...PYTHON];
  await cli.ok('run', '-d', ...options, 'box', 'python3', '-c', UDP_ECHO);
  const port = await publishedPort(cli, 'echo');
  const ask = (text: string): Promise<string> =>
    new Promise((resolve, reject) => {
      const socket = createSocket('udp4');
      const again = setInterval(() => socket.send(text, port, '127.0.0.1'), 200);
      const timer = setTimeout(() => reject(new Error('no answer')), 10_000);
      socket.on('message', (answer) => {
        clearInterval(again);
        clearTimeout(timer);
        socket.close();
        resolve(answer.toString());
      });
    });
  t.strictSame(await Promise.all([ask('one'), ask('two')]), ['one', 'two']);
});

t.test('none has the loopback device alone, host has the host, container:NAME shares', async (t) => {
  const cli = await boxCli(t);
  t.equal(
    await cli.ok(
      'run',
      '--rm',
      '--network',
      'none',
      'box',
      'sh',
      '-c',
      'ip -o link | wc -l; ping -c 1 -q 127.0.0.1 > /dev/null && echo up',
    ),
    '1\nup\n',
  );
  const devices = run('sh', '-c', 'ls /sys/class/net | sort');
  t.equal(
    await cli.ok('run', '--rm', '--network', 'host', 'box', 'sh', '-c', 'ls /sys/class/net | sort'),
    devices,
  );
  await cli.ok('run', '-d', '--name', 'web', 'box', 'sh', '-c', SERVE);
  const shared = [
    'run',
    '--rm',
    '--network',
    'container:web',
    'box',
    'sh',
    '-c',
    'for i in 1 2 3 4 5 6 7 8 9; do wget -q -O - http://127.0.0.1/ && exit 0; sleep 0.1; done',
  ];
  t.match(await cli.ok(...shared), /^[0-9a-f]{12}\n$/);
  await cli.ok('stop', '-t', '0', 'web');
  t.match(await cli.run(...shared), {
    status: 125,
    stderr: /join the network of .*: it is exited; start it first/,
  });
  t.match(await cli.run('run', '--rm', '--network', 'host', '-p', '80:80', 'box', 'true'), {
    status: 125,
    stderr: /--publish does not go with --network host/,
  });
});
