// SPDX-License-Identifier: MIT
/** Registries that may do without TLS: entries in every spelling, and what others are told. */
import { writeFileSync } from 'node:fs';
import t from 'tap';
import { isInsecure, parseInsecure } from '../../../lib/image/registry/insecure-registries.js';
import { run } from '../../support/ground.js';
import { storeCli } from '../../support/images.js';
import { OddRegistry } from '../../support/odd-registry.js';

t.test('an entry is read as it is meant, or not at all', (t) => {
  const cases: [entry: string, meant: string | undefined][] = [
    ['reg.test', 'reg.test'],
    ['Reg.Test:5000', 'reg.test:5000'],
    ['http://reg.test', 'reg.test'],
    ['https://reg.test:5000/', 'reg.test:5000'],
    ['HTTP://reg.test:05000', 'reg.test:5000'],
    ['reg.test/', 'reg.test'],
    [' reg.test ', 'reg.test'],
    ['10.0.0.1', '10.0.0.1'],
    ['10.0.0.0/8', '10.0.0.0/8'],
    ['http://10.0.0.0/8', '10.0.0.0/8'],
    ['0.0.0.0/0', '0.0.0.0/0'],
    ['::1', '[::1]'],
    ['[::1]', '[::1]'],
    ['[0:0:0::1]:5000', '[::1]:5000'],
    ['FD00::1', '[fd00::1]'],
    ['fd00::/8', 'fd00::/8'],
    ['[fd00::]/8', 'fd00::/8'],
  ];
  for (const [entry, meant] of cases) t.equal(parseInsecure(entry), meant, entry);
  for (const bad of [
    '',
    '/',
    'http://',
    '*',
    '*.reg.test',
    'ftp://reg.test',
    'reg.test/team',
    'reg.test:',
    'reg.test:x',
    'reg.test:0',
    'reg.test:65536',
    'reg.test:5000:5000',
    'user@reg.test',
    'reg test',
    '10.0.0.0/33',
    '10.0.0/8',
    'reg.test/8',
    'fd00::/129',
    '[10.0.0.1]',
    '[::1',
    '[:::]',
    '10.0.0.0/-1',
  ])
    t.equal(parseInsecure(bad), undefined, bad);
  t.end();
});

t.test('a host is insecure where an entry is it, or holds it, and nowhere else', (t) => {
  const insecure = (host: string, ...entries: string[]): boolean =>
    isInsecure(
      host,
      entries.map((entry) => parseInsecure(entry)!),
    );
  for (const host of ['localhost', 'localhost:5000', '127.0.0.1:5000', '127.9.9.9', '[::1]:5000', '[0::1]'])
    t.ok(insecure(host), host);
  const cases: [host: string, entry: string][] = [
    ['reg.test', 'reg.test'],
    ['reg.test', 'http://reg.test:80'],
    ['reg.test', 'reg.test:443'],
    ['reg.test:5000', 'reg.test'],
    ['Reg.Test:5000', 'reg.test:5000'],
    ['10.1.2.3:5000', '10.0.0.0/8'],
    ['10.1.2.3:5000', '10.1.2.3/32'],
    ['192.0.2.1', '0.0.0.0/0'],
    ['[fd12::1]:5000', 'fd00::/8'],
    ['[fd12:0::1]:5000', '[fd12::1]:5000'],
  ];
  for (const [host, entry] of cases) t.ok(insecure(host, entry), `${entry} means ${host}`);
  const others: [host: string, entry: string][] = [
    ['reg.test', 'reg.test:5000'],
    ['reg.test:5001', 'reg.test:5000'],
    ['sub.reg.test', 'reg.test'],
    ['reg.test.evil', 'reg.test'],
    ['11.1.2.3:5000', '10.0.0.0/8'],
    ['10.0.0.1.evil', '10.0.0.0/8'],
    ['[fe80::1]', 'fd00::/8'],
    ['[::1:1]', '127.0.0.0/8'],
    ['reg.test', '0.0.0.0/0'],
  ];
  for (const [host, entry] of others) t.notOk(insecure(host, entry), `${entry} does not mean ${host}`);
  t.notOk(insecure('reg.test'));
  t.end();
});

t.test(
  'a registry of plain HTTP is pulled from under each spelling, and otherwise says what it is',
  async (t) => {
    // Loopback is insecure always; this one is not taken for it.
    const address = '192.0.2.10';
    run('ip', 'address', 'add', `${address}/32`, 'dev', 'lo');
    t.teardown(() => void run('ip', 'address', 'del', `${address}/32`, 'dev', 'lo'));
    const registry = await OddRegistry.start(t, undefined, { address });
    registry.image('app', '1');
    const cli = storeCli(t);
    const name = `${registry.host}/app:1`;
    const started = performance.now();
    t.match(await cli.run('pull', name), {
      status: 1,
      stderr:
        /asked by TLS and answers something else, as one does that speaks plain HTTP; if that is meant, name it in insecure-registries of .*config.json/,
    });
    t.ok(performance.now() - started < 5000, 'it is not asked again and again');
    for (const entry of [
      registry.host,
      address,
      '192.0.2.0/24',
      `http://${registry.host}/`,
      `https://${address}`,
    ]) {
      writeFileSync(cli.environment.TSOVERLAY_CONFIG, JSON.stringify({ 'insecure-registries': [entry] }));
      t.match(await cli.run('pull', '-q', name), { status: 0 }, entry);
    }
    writeFileSync(cli.environment.TSOVERLAY_CONFIG, JSON.stringify({ 'insecure-registries': ['a', 'a/b'] }));
    t.match(await cli.run('pull', '-q', name), {
      status: 1,
      stderr:
        /config.json:1: "a\/b" of insecure-registries is no host, host with port, or network; write them as in/,
    });
  },
);

t.test('a registry with an IPv6 address is one of this machine, too', async (t) => {
  const registry = await OddRegistry.start(t, undefined, { address: '::1' });
  registry.image('app', '1');
  await storeCli(t).ok('pull', '-q', `${registry.host}/app:1`);
});
