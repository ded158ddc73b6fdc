// SPDX-License-Identifier: MIT
/** Values of options in tables: what Docker takes and what it refuses (docker/cli opts, go-units, go-connections nat). */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { sizeOf } from '../../lib/base/sizes.js';
import { parseRestart } from '../../lib/cli/container/container-options.js';
import { parseExtraHost, parseNameServer } from '../../lib/cli/container/hosts.js';
import { environmentFrom, labelsFrom } from '../../lib/cli/container/key-values.js';
import { parseCpus, parseMemory, parseProcesses, parseUlimit } from '../../lib/cli/container/limits.js';
import { parseMount, parseVolume } from '../../lib/cli/container/mount-requests.js';
import { parsePorts } from '../../lib/cli/container/ports.js';
import { hasLabel, parseFilters, parseMoment, truthOf } from '../../lib/cli/words/filters.js';
import { parseWhole } from '../../lib/cli/words/whole-numbers.js';
import { hostPorts } from '../../lib/container/network/ports.js';

const REFUSED = Symbol('refused');

/** Holds a reader of one value against a table. */
function holds<V>(t: Test, read: (text: string) => V, table: [text: string, value: V | typeof REFUSED][]) {
  for (const [text, value] of table) {
    if (value === REFUSED) t.throws(() => read(text), { name: 'UsageError' }, `“${text}” is refused`);
    else t.strictSame(read(text), value, `“${text}”`);
  }
}

t.test('a size is read as go-units reads it', async (t) => {
  const table: [string, number | undefined][] = [
    ['0', 0],
    ['-0', 0],
    ['32', 32],
    ['32b', 32],
    ['32 B', 32],
    ['32 ', 32],
    ['32.', 32],
    ['32.b', 32],
    ['32.9', 32],
    ['1e3', 1000],
    ['.5k', 512],
    ['0.3 K', 307],
    ['32kb', 32 << 10],
    ['32kib', 32 << 10],
    ['1.5g', 1.5 * 2 ** 30],
    ['64MiB', 64 << 20],
    ['2t', 2 * 2 ** 40],
    ['32P', 32 * 2 ** 50],
  ];
  for (const [text, value] of table) t.equal(sizeOf(text), value, `“${text}”`);
  for (const text of [
    '',
    ' 0',
    '32  b',
    '32bb',
    '32ki',
    '32ib',
    '32x',
    '-32',
    '1.2.3',
    'k',
    '.',
    'inf',
    '9999p',
  ])
    t.equal(sizeOf(text), undefined, `“${text}” is refused`);
  t.equal(sizeOf('1kib', 1000), 1000);
});

t.test('limits are read as Docker reads them', async (t) => {
  holds(t, parseMemory, [
    ['6m', 6 << 20],
    ['6291455', REFUSED],
    ['0', undefined],
    ['-1', REFUSED],
  ]);
  holds(t, parseCpus, [
    ['0.5', 0.5],
    ['1/2', 0.5],
    ['.25', 0.25],
    ['0', undefined],
    ['0.001', REFUSED],
    ['0.1234567891', REFUSED],
    ['-1', REFUSED],
    ['1,5', REFUSED],
    ['', REFUSED],
    [String(cpus().length), cpus().length],
    [String(cpus().length + 1), REFUSED],
  ]);
  holds(t, parseProcesses, [
    ['100', 100],
    ['0', undefined],
    ['-1', undefined],
    ['1.5', REFUSED],
    ['many', REFUSED],
  ]);
  holds(t, parseUlimit, [
    ['nofile=1024', { type: 'RLIMIT_NOFILE', soft: 1024, hard: 1024 }],
    ['nofile=1024:2048', { type: 'RLIMIT_NOFILE', soft: 1024, hard: 2048 }],
    ['nofile=1024:-1', { type: 'RLIMIT_NOFILE', soft: 1024, hard: -1 }],
    ['core=-1', { type: 'RLIMIT_CORE', soft: -1, hard: -1 }],
    ['nofile=2048:1024', REFUSED],
    ['nofile=-1:1024', REFUSED],
    ['NOFILE=1024', REFUSED],
    ['as=1024', REFUSED],
    ['files=1024', REFUSED],
    ['nofile=1:2:3', REFUSED],
    ['nofile=1:', REFUSED],
    ['nofile=1k', REFUSED],
    ['nofile', REFUSED],
  ]);
});

t.test('ports are read as Docker reads them', async (t) => {
  const shown = (text: string): string[] =>
    parsePorts(text).map(
      (port) => `${port.hostAddress} ${hostPorts(port)} ${port.containerPort} ${port.protocol}`,
    );
  holds(t, shown, [
    ['80', [' 0 80 tcp']],
    ['0:80', [' 0 80 tcp']],
    [':80', [' 0 80 tcp']],
    ['8080:80/', [' 8080 80 tcp']],
    ['8080:80/UDP', [' 8080 80 udp']],
    ['::1:8080:80', ['::1 8080 80 tcp']],
    ['[::1]::80', ['::1 0 80 tcp']],
    ['published=8080,target=80,protocol=udp', [' 8080 80 udp']],
    ['target=80', [' 0 80 tcp']],
    ['8000-8001:80-81', [' 8000 80 tcp', ' 8001 81 tcp']],
    ['8000-8010:80', [' 8000-8010 80 tcp']],
    ['127.0.0.1:8000-8010:80/udp', ['127.0.0.1 8000-8010 80 udp']],
    ['8000-8000:80', [' 8000 80 tcp']],
    ['8000-8010:80-81', REFUSED],
    ['8010-8000:80', REFUSED],
    ['80:0', REFUSED],
    ['80:65536', REFUSED],
    ['65536:80', REFUSED],
    ['80:80/sctp', REFUSED],
    ['80:80/tcp/udp', REFUSED],
    ['localhost:80:80', REFUSED],
    ['1.2.3:80:80', REFUSED],
    ['300.0.0.1:80:80', REFUSED],
    ['[::1:80:80', REFUSED],
    ['fe80::1%lo:80:80', REFUSED],
    ['80-:80', REFUSED],
    ['-80:80', REFUSED],
    ['80 :80', REFUSED],
    ['port=80', REFUSED],
  ]);
});

t.test('hosts and name servers are addresses', async (t) => {
  holds(t, parseExtraHost, [
    ['db:10.0.0.5', 'db:10.0.0.5'],
    ['db=10.0.0.5', 'db:10.0.0.5'],
    ['db:::1', 'db:::1'],
    ['db=::1', 'db:::1'],
    ['db:[::1]', 'db:::1'],
    ['db=[10.0.0.5]', 'db:10.0.0.5'],
    ['host.docker.internal:host-gateway', 'host.docker.internal:host-gateway'],
    ['db', REFUSED],
    ['db:', REFUSED],
    [':10.0.0.5', REFUSED],
    ['a:b=10.0.0.5', REFUSED],
    ['db:10.0.0', REFUSED],
    ['db:other', REFUSED],
    ['db:[]', REFUSED],
  ]);
  holds(t, parseNameServer, [
    [' 10.0.0.53 ', '10.0.0.53'],
    ['fd00::53', 'fd00::53'],
    ['dns.example', REFUSED],
    ['', REFUSED],
  ]);
});

t.test('files of variables and labels are read as they are written', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'tsoverlay-test-values-'));
  t.teardown(() => rmSync(directory, { recursive: true }));
  const path = join(directory, 'file');
  const read = (bytes: string | Buffer): string[] => {
    writeFileSync(path, bytes);
    return environmentFrom([], [path]);
  };
  process.env.TSOVERLAY_TEST_HERE = 'it is';
  t.strictSame(
    read(
      '\ufeffA=1\r\n\t # comment\n\n  B="two words" \nC=\nD=x=y\nTSOVERLAY_TEST_HERE\nTSOVERLAY_TEST_GONE\nE=\'e\'#f',
    ),
    ['A=1', 'B="two words" ', 'C=', 'D=x=y', 'TSOVERLAY_TEST_HERE=it is', "E='e'#f"],
  );
  t.strictSame(read(''), []);
  for (const [bytes, said] of [
    ['A=1\nB C=2\n', /file:2.*“B C” has blanks/],
    ['A =1', /file:1.*“A ” has blanks/],
    ['A=1\n=x', /file:2.*has no name/],
    [Buffer.from('A=1\nB=\xe9\n', 'latin1'), /file:2.*not UTF-8/],
    ['A=1\n\ufeffB C=2', /has blanks/],
  ] as [string | Buffer, RegExp][])
    t.throws(() => read(bytes), { name: 'OverlayError', message: said });
  t.throws(() => environmentFrom([], [join(directory, 'none')]), { message: /ENOENT|no such file/i });
  writeFileSync(path, 'a="1"\nempty=\nbare\n#x\n');
  t.strictSame(labelsFrom(['b=2', 'a=3', 'c'], [path]), { a: '3', empty: '', bare: '', b: '2', c: '' });
  for (const text of ['=x', '', ' =x', 'a b=x'])
    t.throws(() => labelsFrom([text], []), { name: 'UsageError' }, `label “${text}”`);
  t.throws(() => environmentFrom(['=x'], []), { name: 'UsageError' });
});

t.test('restart policies and seconds are read as Docker reads them', async (t) => {
  holds(t, (text) => parseRestart(text, false), [
    ['', { name: 'no', retries: 0 }],
    ['no', { name: 'no', retries: 0 }],
    ['always:', { name: 'always', retries: 0 }],
    ['always:0', { name: 'always', retries: 0 }],
    ['on-failure', { name: 'on-failure', retries: 0 }],
    ['on-failure:+3', { name: 'on-failure', retries: 3 }],
    ['on-failure:-1', REFUSED],
    ['on-failure:3:4', REFUSED],
    ['on-failure:x', REFUSED],
    ['always:3', REFUSED],
    [':3', REFUSED],
    ['sometimes', REFUSED],
  ]);
  t.throws(() => parseRestart('always', true), { name: 'UsageError' }, 'with --rm');
});

t.test('a whole number is read as Go reads it, in every base', async (t) => {
  holds(t, (text) => parseWhole('--time', text, 'give seconds'), [
    ['3', 3],
    ['+3', 3],
    ['-1', -1],
    ['-0', 0],
    ['010', 8],
    ['0o10', 8],
    ['0x1F', 31],
    ['0b101', 5],
    ['1_000', 1000],
    ['0x_f', 15],
    ['1_', REFUSED],
    ['1__0', REFUSED],
    ['09', REFUSED],
    ['0.5', REFUSED],
    ['1.0', REFUSED],
    ['1e3', REFUSED],
    ['3s', REFUSED],
    [' 3', REFUSED],
    ['soon', REFUSED],
    ['', REFUSED],
    ['9007199254740993', REFUSED],
  ]);
});

t.test('--mount is read as CSV with the truths and types of Docker', async (t) => {
  const shown = (text: string): unknown[] => {
    const { type, source, target, readOnly, options } = parseMount(text);
    return [type, source, target, readOnly, ...options];
  };
  holds(t, shown, [
    ['type=bind,src=/a,dst=/d,readonly=1', ['bind', '/a', '/d', true]],
    ['type=bind,src=/a,dst=/d,ro=false', ['bind', '/a', '/d', false]],
    ['type=bind,src=/a,dst=/d,consistency=cached', ['bind', '/a', '/d', false]],
    ['TYPE=Bind,"src=/a,b",dst=/d', ['bind', '/a,b', '/d', false]],
    ['type=bind,src=/a,dst=/d,bind-propagation=RSlave', ['bind', '/a', '/d', false, 'rslave']],
    ['type=tmpfs,dst=/d,tmpfs-size=1k,tmpfs-mode=1777', ['tmpfs', '', '/d', false, 'size=1024', 'mode=1777']],
    ['type=bind,src=/a,dst=/d,readonly=yes', REFUSED],
    ['type=bind,src=/a,dst=/d,readonly=', REFUSED],
    ['type=bind,src=/a,dst', REFUSED],
    ['type=bind,src="/a",dst=/d', REFUSED],
    ['type=bind,src=a,dst=/d', REFUSED],
    ['type=bind,src=/a,dst=/d,tmpfs-size=1k', REFUSED],
    ['type=bind,src=/a,dst=/d,bind-propagation=public', REFUSED],
    ['type=tmpfs,src=/a,dst=/d', REFUSED],
    ['type=tmpfs,dst=/d,tmpfs-mode=rwx', REFUSED],
    ['type=volume,src=v,dst=/d,bind-propagation=slave', REFUSED],
  ]);
  t.throws(() => parseVolume('/a:/d:ro,rw'), { name: 'UsageError' });
});

t.test('a moment is a duration of Go, a date of RFC 3339 or seconds since 1970', async (t) => {
  const now = 1e12;
  const local = (...parts: [number, number, number, number?, number?, number?]): number =>
    new Date(...(parts as [number, number, number])).getTime();
  holds(t, (text) => parseMoment(text, now), [
    ['1h30m', now - 5_400_000],
    ['-1h', now + 3_600_000],
    ['.5s', now - 500],
    ['1.5s500us', now - 1500.5],
    ['2d', now - 172_800_000],
    ['0', 0],
    ['1136073600.5', 1136073600500],
    ['2020-01-02', local(2020, 0, 2)],
    ['2020-01-02Z', Date.UTC(2020, 0, 2)],
    ['2020-01-02T03', local(2020, 0, 2, 3)],
    ['2020-01-02T03:04', local(2020, 0, 2, 3, 4)],
    ['2020-01-02T03:04:05', local(2020, 0, 2, 3, 4, 5)],
    ['2020-01-02T03:04Z', Date.UTC(2020, 0, 2, 3, 4)],
    ['2020-01-02T03:04:05.250000000+01:00', Date.UTC(2020, 0, 2, 2, 4, 5, 250)],
    ['2020-02-30', REFUSED],
    ['2020-01-02T24:00', REFUSED],
    ['2020-13-01', REFUSED],
    ['2020-01-02 03:04', REFUSED],
    ['January 2, 2020', REFUSED],
    ['5 minutes', REFUSED],
    ['-5', REFUSED],
    ['1h30', REFUSED],
    ['', REFUSED],
  ]);
});

t.test(
  'a filter has a name that the command knows; blanks around its parts and its case do not count',
  async (t) => {
    t.strictSame(
      [...parseFilters(['Label = a=b ', '', 'label!=c'], ['label', 'label!'])],
      [
        ['label', ['a=b']],
        ['label!', ['c']],
      ],
    );
    for (const text of ['label', '=x', 'lable=x'])
      t.throws(() => parseFilters([text], ['label']), { name: 'UsageError' }, text);
  },
);

t.test('a truth and a label of filters are read as moby reads them', async (t) => {
  holds(t, (text) => truthOf('dangling', text.split(' ')), [
    ['true', true],
    ['1', true],
    ['1 true', true],
    ['false', false],
    ['0', false],
    ['maybe', REFUSED],
    ['True', REFUSED],
    ['', REFUSED],
    ['true false', REFUSED],
  ]);
  const labels = { kind: 'a=b', empty: '' };
  const found = ['kind', 'kind=a=b', 'empty=', 'kind=a', 'none', 'none='].filter((text) =>
    hasLabel(labels, text),
  );
  t.strictSame(found, ['kind', 'kind=a=b', 'empty=']);
  t.notOk(hasLabel(undefined, 'kind'));
});
