// SPDX-License-Identifier: MIT
/** What is said on the command line, and the small parts of containers that need none to be run. */
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Duplex } from 'node:stream';
import t from 'tap';
import { findCall } from '../../lib/cli/commands/command-line.js';
import { environmentFrom } from '../../lib/cli/container/key-values.js';
import { parseMount, parseTmpfs, parseVolume } from '../../lib/cli/container/mount-requests.js';
import { parsePorts } from '../../lib/cli/container/ports.js';
import { parseKeys } from '../../lib/cli/container/terminal.js';
import { parseSize } from '../../lib/cli/words/sizes.js';
import { LogWriter } from '../../lib/container/program/log-file.js';
import { LogReader } from '../../lib/container/program/log-reader.js';
import { capabilitiesFor } from '../../lib/container/server/container-spec.js';
import { isRestarted, restartDelay } from '../../lib/container/server/restart.js';
import { CAPABILITIES } from '../../lib/container/spec/defaults.js';
import { commandLine, runtimeSpec } from '../../lib/container/spec/runtime-spec.js';
import { seccompProfile } from '../../lib/container/spec/seccomp-profile.js';
import { parseMountOptions } from '../../lib/container/stage/mount-options.js';
import { NEW_STATE } from '../../lib/container/state/config.js';
import { encodeBlock, replaceBlock } from '../../lib/container/state/small-file.js';
import { FrameChannel } from '../../lib/container/wire/frames.js';
import { MS_BIND, MS_NODEV, MS_RDONLY, MS_RECURSIVE } from '../../lib/sys/mounts.js';
import { signalNumber } from '../../lib/sys/signals.js';

t.test('ports are read in every form, and what is none is refused', async (t) => {
  const port = (hostAddress: string, hostPort: number, containerPort: number, protocol = 'tcp') => ({
    hostAddress,
    hostPort,
    containerPort,
    protocol,
  });
  t.strictSame(parsePorts('80'), [port('', 0, 80)]);
  t.strictSame(parsePorts('8080:80/udp'), [port('', 8080, 80, 'udp')]);
  t.strictSame(parsePorts('127.0.0.1::80'), [port('127.0.0.1', 0, 80)]);
  t.strictSame(parsePorts('[::1]:8080:80'), [port('::1', 8080, 80)]);
  t.strictSame(parsePorts('8000-8001:80-81'), [port('', 8000, 80), port('', 8001, 81)]);
  for (const text of ['', 'x', '80:', '99999', '8000-8002:80-81', '80:80/sctp', '1:2:3:4', '81-80'])
    t.throws(() => parsePorts(text), { name: 'UsageError' }, text);
});

t.test('mounts are read in every form, and what is none is refused', async (t) => {
  t.match(parseVolume('data:/d:ro'), { type: 'volume', source: 'data', target: '/d', readOnly: true });
  t.match(parseVolume('/a/../b:/d'), { type: 'bind', source: '/b', target: '/d', readOnly: false });
  t.match(parseVolume('/only'), { type: 'volume', source: /^[0-9a-f]{64}$/, target: '/only' });
  t.match(parseMount('type=bind,src=/a,dst=/d,readonly'), { type: 'bind', source: '/a', readOnly: true });
  t.match(parseMount('type=tmpfs,target=/t,tmpfs-size=1m'), { type: 'tmpfs', options: ['size=1048576'] });
  t.match(parseTmpfs('/t:size=64k,ro'), { target: '/t', readOnly: true, options: ['size=64k'] });
  t.match(parseTmpfs('/t:mpol=bind:0,mode=700'), { options: ['mpol=bind:0', 'mode=700'] });
  t.throws(() => parseTmpfs('/t:sise=64k'), { name: 'UsageError', message: /there is no option sise=64k/ });
  for (const text of ['a:b', '/a:/', 'a b:/d', '/a:/b:/c:/d', '/a:/b:weird'])
    t.throws(() => parseVolume(text), { name: 'UsageError' }, text);
  for (const text of [
    'type=bind,target=/d',
    'type=nfs,target=/d',
    'typ=bind,target=/d',
    'type=bind,source=/a',
  ])
    t.throws(() => parseMount(text), { name: 'UsageError' }, text);
  t.strictSame(parseMountOptions(['rbind', 'ro', 'nodev', 'dev', 'size=1', 'mode=755']), {
    flags: MS_BIND | MS_RECURSIVE | MS_RDONLY,
    bind: true,
    propagation: [],
    data: 'size=1,mode=755',
  });
  t.equal(parseMountOptions(['nodev']).flags, MS_NODEV);
});

t.test('options end at the first word that is none, whatever follows it', async (t) => {
  const cases: [line: string, at: number][] = [
    ['run box ls -l --rm', 1],
    ['run --rm -it box -x', 3],
    ['run -e A=1 -p 80:80 --name x box', 7],
    ['run --env=A=1 -eB=2 box', 3],
    ['container run -itv /a:/b box --rm', 4],
    ['exec -u ann web sh -c id', 3],
  ];
  const called = (line: string): readonly string[] => {
    const { path, words } = findCall(line.split(' '))!;
    return [...path, ...words];
  };
  for (const [line, at] of cases) {
    const words = line.split(' ');
    t.strictSame(called(line), [...words.slice(0, at), '--', ...words.slice(at)], line);
  }
  for (const line of ['run -- box', 'ps box']) t.strictSame(called(line), line.split(' '));
});

t.test('sizes, keys, signals and environments are read, or refused by name', async (t) => {
  t.equal(parseSize('--memory', '1.5g'), 1.5 * 2 ** 30);
  t.equal(parseSize('--memory', '64MiB'), 64 << 20);
  t.throws(() => parseSize('--memory', 'much'), /--memory much is no size/);
  t.strictSame(parseKeys('ctrl-p,ctrl-q,x'), Buffer.from([16, 17, 120]));
  t.throws(() => parseKeys('ctrl-p,nokey'), /there is no key nokey/);
  t.strictSame(['TERM', 'sigterm', '15', 'RTMIN+3'].map(signalNumber), [15, 15, 15, 37]);
  t.throws(() => signalNumber('RTMIN+99'), /there is no such signal/);
  process.env.TSOVERLAY_TEST_COPIED = 'here';
  t.strictSame(environmentFrom(['A=1', 'TSOVERLAY_TEST_COPIED', 'TSOVERLAY_TEST_NONE', 'B='], []), [
    'A=1',
    'TSOVERLAY_TEST_COPIED=here',
    'TSOVERLAY_TEST_NONE',
    'B=',
  ]);
  t.throws(() => environmentFrom(['=x'], []), /has no name/);
});

t.test('what is run, with which capabilities, is put together as Docker does it', async (t) => {
  const image = { Entrypoint: ['entry'], Cmd: ['default'] };
  t.strictSame(commandLine({ image }), ['entry', 'default']);
  t.strictSame(commandLine({ image, command: ['given'] }), ['entry', 'given']);
  t.strictSame(commandLine({ image, entrypoint: ['other'] }), ['other']);
  t.strictSame(commandLine({ image, entrypoint: [], command: ['bare'] }), ['bare']);
  t.throws(() => commandLine({ image: {} }), /the image names no command/);
  const held = (capAdd: string[], capDrop: string[]) =>
    capabilitiesFor({ capAdd, capDrop, privileged: false });
  t.strictSame(held([], []), CAPABILITIES);
  t.strictSame(held(['sys_time'], ['ALL']), ['CAP_SYS_TIME']);
  t.notOk(held(['ALL'], ['CAP_MKNOD']).includes('CAP_MKNOD'));
  const account = { uid: 5, gid: 6, additionalGids: [7], home: '/h' };
  const spec = runtimeSpec({ image, account, hostname: 'x', env: ['PATH', 'A=1'], mounts: [] }, '/r');
  t.match(spec, {
    process: { user: { uid: 5, gid: 6, additionalGids: [6, 7] }, env: ['HOSTNAME=x', 'HOME=/h', 'A=1'] },
  });
  t.strictSame(spec.process.capabilities.effective, [], 'a user starts with none');
});

t.test('the filter lets through what a capability brings, and nothing else new', async (t) => {
  const allowed = (capabilities: string[]): Set<string> =>
    new Set(
      seccompProfile(capabilities)
        .syscalls.filter(({ action, args }) => action === 'SCMP_ACT_ALLOW' && args === undefined)
        .flatMap(({ names }) => names),
    );
  t.ok(allowed([]).has('openat') && !allowed([]).has('mount') && !allowed([]).has('clone3'));
  t.ok(allowed(['CAP_SYS_ADMIN']).has('mount') && allowed(['CAP_SYS_ADMIN']).has('clone3'));
  t.notOk(allowed(['CAP_SYS_ADMIN', 'CAP_SYS_MODULE']).has('kexec_load'));
  t.notOk(allowed(['CAP_SYS_ADMIN']).has('keyctl'));
});

t.test('a policy says when a container is restarted, and how soon', async (t) => {
  const state = { ...NEW_STATE, restarts: 2 };
  t.ok(isRestarted({ name: 'always', retries: 0 }, 0, state));
  t.notOk(isRestarted({ name: 'always', retries: 0 }, 1, { ...state, stopped: true }));
  t.notOk(isRestarted({ name: 'on-failure', retries: 0 }, 0, state));
  t.notOk(isRestarted({ name: 'on-failure', retries: 2 }, 1, state));
  t.ok(isRestarted({ name: 'on-failure', retries: 3 }, 1, state));
  t.strictSame(
    [1, 2, 3, 99].map((count) => restartDelay(count, 0)),
    [100, 200, 400, 60_000],
  );
  t.equal(restartDelay(9, 10_000), 100, 'one that ran well starts over soon');
});

t.test('a log has whole lines of any bytes; what a crash left half is passed over', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'tsoverlay-test-log-'));
  t.teardown(() => rmSync(directory, { recursive: true }));
  const path = join(directory, 'log');
  const writer = new LogWriter(path);
  const euro = Buffer.from('€\n');
  writer.write('stdout', Buffer.from('one\ntw'));
  writer.write('stderr', euro.subarray(0, 2));
  writer.write('stdout', Buffer.from('o\n'));
  writer.write('stderr', euro.subarray(2));
  writer.write('stdout', Buffer.from('x'.repeat(20_000)));
  writer.close();
  appendFileSync(path, '{"log":"half');
  const reader = new LogReader(path);
  t.strictSame(
    [...reader.read()].map(({ log, stream }) => `${stream} ${log.length < 10 ? log : log.length}`),
    ['stdout one\n', 'stdout two\n', 'stderr €\n', 'stdout 16384', 'stdout 3616'],
  );
  appendFileSync(path, '"}\n{"log":"after\\n","stream":"stdout","time":"x"}\n');
  t.strictSame(
    [...reader.read()].map(({ log }) => log),
    ['half', 'after\n'],
  );
  reader.close();
});

t.test('frames come whole however they are cut, and nonsense ends the conversation', async (t) => {
  const [left, right] = pair();
  const sender = new FrameChannel(left);
  const seen: unknown[] = [];
  let closed = false;
  new FrameChannel(right).listen({
    message: (value) => seen.push(value),
    bytes: (stream, bytes) => seen.push(`${stream} ${bytes.toString()}`),
    closed: () => (closed = true),
  });
  sender.send({ a: 1 });
  sender.sendBytes('stdin', Buffer.from('typed'));
  await settled();
  t.strictSame(seen, [{ a: 1 }, 'stdin typed']);
  left.write(Buffer.from([0, 0xff, 0xff, 0xff, 0xff]));
  await settled();
  t.ok(closed, 'a frame of 4 GiB is not waited for');
});

/** Two ends; what is written to one comes out of the other in pieces of three bytes. */
function pair(): [Duplex, Duplex] {
  const make = (): Duplex & { other?: Duplex } =>
    new Duplex({
      read: () => undefined,
      write(chunk: Buffer, _encoding, done) {
        for (let at = 0; at < chunk.length; at += 3)
          (this as { other?: Duplex }).other!.push(chunk.subarray(at, at + 3));
        done();
      },
    });
  const [a, b] = [make(), make()];
  a.other = b;
  b.other = a;
  return [a, b];
}

/** Everything that was written has been read. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setImmediate(resolve));
}

t.test('small documents fill whole blocks, and are replaced', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'tsoverlay-test-block-'));
  t.teardown(() => rmSync(directory, { recursive: true }));
  const path = join(directory, 'x');
  writeFileSync(path, encodeBlock({ a: 1 }));
  replaceBlock(path, { a: 'x'.repeat(5000) });
  t.strictSame([encodeBlock({ a: 1 }).length, encodeBlock({ a: 'x'.repeat(5000) }).length], [4096, 8192]);
  t.equal(JSON.parse(encodeBlock({ a: 2 }).toString()).a, 2);
});
