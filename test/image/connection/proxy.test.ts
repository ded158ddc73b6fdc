// SPDX-License-Identifier: MIT
/** Which proxy leads to a URL: every variable, every spelling, every form of an entry of NO_PROXY. */
import t from 'tap';
import { addressOf, proxyAuthorization, proxyFor } from '../../../lib/image/connection/proxy.js';

type Environment = Record<string, string>;

const found = (url: string, environment: Environment): string | undefined =>
  proxyFor(new URL(url), environment)?.url.host;

t.test('the first variable that is set and is for the scheme names the proxy', (t) => {
  const all: Environment = {
    HTTPS_PROXY: 'http://a',
    https_proxy: 'http://b',
    HTTP_PROXY: 'http://c',
    http_proxy: 'http://d',
    ALL_PROXY: 'http://e',
    all_proxy: 'http://f',
  };
  const without = (...names: string[]): Environment =>
    Object.fromEntries(Object.entries(all).filter(([name]) => !names.includes(name)));
  const cases: [url: string, environment: Environment, host: string | undefined][] = [
    ['https://reg.test', all, 'a'],
    ['https://reg.test', without('HTTPS_PROXY'), 'b'],
    ['https://reg.test', { ...all, HTTPS_PROXY: '' }, 'b'],
    ['https://reg.test', { ...all, HTTPS_PROXY: '  ' }, 'b'],
    ['https://reg.test', without('HTTPS_PROXY', 'https_proxy'), 'e'],
    ['https://reg.test', { all_proxy: 'http://f' }, 'f'],
    ['https://reg.test', { HTTP_PROXY: 'http://c' }, undefined],
    ['http://reg.test', all, 'c'],
    ['http://reg.test', without('HTTP_PROXY'), 'd'],
    ['http://reg.test', without('HTTP_PROXY', 'http_proxy'), 'e'],
    ['http://reg.test', { HTTPS_PROXY: 'http://a' }, undefined],
    // What a client of a CGI program says is not followed.
    ['http://reg.test', { ...all, REQUEST_METHOD: 'GET' }, 'd'],
    ['http://reg.test', { HTTP_PROXY: 'http://c', REQUEST_METHOD: 'GET' }, undefined],
    ['https://reg.test', { ...all, REQUEST_METHOD: 'GET' }, 'a'],
    ['https://reg.test', {}, undefined],
  ];
  for (const [url, environment, host] of cases)
    t.equal(found(url, environment), host, `${url} ${JSON.stringify(environment)}`);
  t.end();
});

t.test('a value is an address with or without a scheme, a port, a name and a password', (t) => {
  const cases: [value: string, host: string, port: number, login?: string][] = [
    ['http://p.test', 'p.test', 80],
    ['HTTP://P.test:3128/', 'p.test', 3128],
    ['p.test:3128', 'p.test', 3128],
    ['p.test', 'p.test', 80],
    ['https://p.test', 'p.test', 443],
    [' https://p.test:1 ', 'p.test', 1],
    ['[::1]:3128', '::1', 3128],
    ['ann:pass@p.test:1', 'p.test', 1, 'ann:pass'],
    ['http://ann%40corp:p%3A%2F%23%25@p.test', 'p.test', 80, 'ann@corp:p:/#%'],
    ['http://ann:100%@p.test', 'p.test', 80, 'ann:100%'],
    ['http://ann@p.test', 'p.test', 80, 'ann:'],
    ['http://:pass@p.test', 'p.test', 80, ':pass'],
    ['http://CORP%5Cann:p@p.test', 'p.test', 80, 'CORP\\ann:p'],
  ];
  for (const [value, host, port, login] of cases) {
    const proxy = proxyFor(new URL('https://reg.test'), { HTTPS_PROXY: value })!;
    t.match(addressOf(proxy), { host, port }, value);
    const header =
      login === undefined ? {} : { 'proxy-authorization': `Basic ${Buffer.from(login).toString('base64')}` };
    t.strictSame(proxyAuthorization(proxy), header, value);
  }
  t.end();
});

t.test('a value that cannot be meant is refused by the name of its variable, without its password', (t) => {
  const cases: [value: string, reason: string][] = [
    ['socks5://ann:secret@p.test:1080', 'proxies of socks5 are not known'],
    ['socks5h://p.test', 'proxies of socks5h are not known'],
    ['SOCKS4://p.test', 'proxies of socks4 are not known'],
    ['ftp://ann:secret@p.test', 'proxies of ftp are not known'],
    ['http://p.test/path', 'the address of a proxy has a path'],
    ['http://p.test/?q=secret', 'the address of a proxy has a path'],
    ['http://p.test#secret', 'the address of a proxy has a path'],
    ['http://ann:sec#ret@p.test:1', 'it is no address of a proxy'],
    ['http://', 'it is no address of a proxy'],
    ['p.test:port', 'it is no address of a proxy'],
    ['two words', 'it is no address of a proxy'],
    ['http://p.test:70000', 'it is no address of a proxy'],
  ];
  for (const [value, reason] of cases) {
    for (const name of ['HTTPS_PROXY', 'all_proxy']) {
      const refused = (): unknown => proxyFor(new URL('https://reg.test'), { [name]: value });
      t.throws(refused, {
        message: `find the proxy in ${name}: ${reason}; write http://[NAME:PASSWORD@]HOST:PORT or https://…, with what is special in a password as %XX`,
      });
    }
  }
  t.end();
});

t.test('an entry of NO_PROXY means hosts, domains, ports and networks', (t) => {
  const cases: [entry: string, means: string[], meansNot: string[]][] = [
    ['*', ['reg.test', '10.0.0.1', '[fd00::1]:5000'], []],
    [
      'reg.test',
      ['reg.test', 'REG.test:5000', 'a.reg.test', 'b.a.reg.test', 'reg.test.'],
      ['areg.test', 'test'],
    ],
    ['Reg.Test.', ['reg.test'], []],
    ['.reg.test', ['a.reg.test', 'b.a.reg.test'], ['reg.test', 'areg.test']],
    ['*.reg.test', ['a.reg.test'], ['reg.test', 'areg.test']],
    ['reg.test:5000', ['reg.test:5000', 'a.reg.test:5000'], ['reg.test', 'reg.test:5001']],
    ['.reg.test:443', ['a.reg.test'], ['a.reg.test:5000']],
    ['reg', ['reg', 'reg:5000'], ['regs', 'reg.test']],
    ['bücher.test', ['bücher.test', 'xn--bcher-kva.test'], ['bucher.test']],
    ['10.0.0.1', ['10.0.0.1', '10.0.0.1:5000'], ['10.0.0.10', '110.0.0.1']],
    ['10.0.0.1:5000', ['10.0.0.1:5000'], ['10.0.0.1']],
    ['10.0.0.0/8', ['10.1.2.3:5000'], ['11.0.0.1', '10.reg.test']],
    ['0.0.0.0/0', ['192.0.2.1'], ['reg.test', '[fd00::1]']],
    ['fd00::1', ['[fd00::1]', '[fd00:0::1]:5000'], ['[fd00::2]', '[fd00::1:5000]']],
    ['[FD00::1]', ['[fd00::1]'], ['[fd00::2]']],
    ['[fd00::1]:5000', ['[fd00::1]:5000'], ['[fd00::1]']],
    ['fd00::/8', ['[fd12::1]:5000'], ['[fe80::1]', '10.0.0.1']],
    ['a.test, reg.test ,,c.test', ['a.test', 'reg.test', 'c.test'], ['b.test']],
    ['a.test reg.test\tc.test', ['a.test', 'reg.test', 'c.test'], ['b.test']],
    ['', [], ['reg.test']],
    [' , ', [], ['reg.test']],
  ];
  for (const [entry, means, meansNot] of cases) {
    for (const name of ['NO_PROXY', 'no_proxy']) {
      const environment = { ALL_PROXY: 'p.test', [name]: entry };
      for (const host of means)
        t.equal(found(`https://${host}`, environment), undefined, `${entry} is ${host}`);
      for (const host of meansNot)
        t.equal(found(`https://${host}`, environment), 'p.test', `${entry} is not ${host}`);
    }
  }
  t.equal(found('http://reg.test', { ALL_PROXY: 'p.test', NO_PROXY: 'reg.test:80' }), undefined);
  t.end();
});

t.test('an entry of NO_PROXY that cannot be meant is refused and named', (t) => {
  for (const entry of [
    '10.0.0.0/33',
    '10.0.0/8',
    'fd00::/129',
    'reg.test/8',
    'http://reg.test',
    'reg.test:x',
    'reg.test:65536',
    '10.*',
    '10.0.0',
    'reg*.test',
    '[::1',
    ':5000',
    '.',
    'a..b',
  ]) {
    const environment = { ALL_PROXY: 'p.test', no_proxy: `a.test,${entry}` };
    for (const url of ['https://reg.test', 'https://a.test'])
      t.throws(
        () => found(url, environment),
        {
          message: `find the proxy in no_proxy: "${entry}" is no host, domain or network; write them as in registry.example:5000, .example, 10.0.0.0/8 or [::1]:5000`,
        },
        entry,
      );
    t.equal(found('https://reg.test', { no_proxy: entry }), undefined, 'without a proxy nobody asks');
  }
  t.end();
});

t.test('this machine is reached without a proxy, whatever the variables say', (t) => {
  for (const host of [
    'localhost',
    'LOCALHOST:5000',
    'localhost.',
    '127.0.0.1',
    '127.1.2.3:5000',
    '[::1]:5000',
    '[::ffff:127.0.0.1]',
  ])
    for (const value of ['p.test', 'socks5://p.test'])
      t.equal(found(`https://${host}`, { ALL_PROXY: value, NO_PROXY: '10.0.0.0/33' }), undefined, host);
  t.equal(found('https://127.0.0.1.test', { ALL_PROXY: 'p.test' }), 'p.test');
  t.end();
});
