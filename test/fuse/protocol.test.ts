// SPDX-License-Identifier: MIT
/** The protocol, driven by bytes: no device and no mount. */
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import t from 'tap';
import { EINVAL, EIO, ENODATA, ENOENT, ENOSYS, EPERM, ERANGE } from '../../lib/base/errno.js';
import { InitFlag, Opcode, SetAttr } from '../../lib/fuse/abi.js';
import type { EntryOut } from '../../lib/fuse/reply.js';
import { rows } from '../../lib/fuse/requests.js';
import { Stat } from '../../lib/sys/stat.js';
import { body, exchange, LINUX_INIT, request, start } from '../support/messages.js';

t.test('opcodes and flags are those of the kernel header of this machine', async (t) => {
  const header = readFileSync('/usr/include/linux/fuse.h', 'utf8');
  let compared = 0;
  for (const [name, number] of Object.entries(Opcode)) {
    const found = new RegExp(`\\bFUSE_${name}\\s*=\\s*(\\d+)`).exec(header);
    // A header older than the opcode does not have it.
    if (found === null) continue;
    t.equal(number, Number(found[1]), `FUSE_${name}`);
    compared++;
  }
  for (const [name, bit] of Object.entries(InitFlag)) {
    const found = new RegExp(`#define FUSE_${name}\\s+\\(1(?:ULL)? << (\\d+)\\)`).exec(header);
    if (found === null) continue;
    t.equal(bit, Number(found[1]), `FUSE_${name}`);
    compared++;
  }
  for (const [name, mask] of Object.entries(SetAttr)) {
    const found = new RegExp(`#define FATTR_${name}\\s+\\(1 << (\\d+)\\)`).exec(header);
    if (found !== null) t.equal(mask, 1 << Number(found[1]), `FATTR_${name}`);
  }
  t.ok(compared > 50, `${compared} were compared`);
});

t.test('every opcode has a row, and the row its own number', async (t) => {
  for (const [name, opcode] of Object.entries(Opcode)) {
    if (opcode === Opcode.INIT) continue;
    t.equal(rows[opcode]?.name, name);
    t.equal(rows[opcode]?.opcode, opcode);
  }
});

t.test('INIT agrees on what both sides have', async (t) => {
  const { session } = start({}, false);
  const answer = exchange(session, request({ opcode: Opcode.INIT, unique: 2n }, LINUX_INIT))!;
  t.equal(answer.error, 0);
  t.equal(answer.unique, 2n);
  t.equal(answer.body.length, 64);
  t.equal(answer.body.readUInt32LE(0), 7);
  t.equal(answer.body.readUInt32LE(4), 45);
  t.equal(answer.body.readUInt32LE(20), 1 << 20, 'max_write');
  const flags = answer.body.readUInt32LE(12);
  for (const flag of [InitFlag.DO_READDIRPLUS, InitFlag.NO_OPEN_SUPPORT, InitFlag.POSIX_ACL]) {
    t.ok(flags & (1 << flag), `flag ${flag}`);
  }
  t.notOk(flags & (1 << 1), 'POSIX_LOCKS is left to the kernel');
  t.notOk(flags & (1 << InitFlag.WRITEBACK_CACHE), 'WRITEBACK_CACHE is only for who asks for it');
});

t.test('INIT does not claim what an older kernel did not offer, and refuses one too old', async (t) => {
  const offer = (minor: number, flags: number): Buffer =>
    request({ opcode: Opcode.INIT }, body({ u32: 7 }, { u32: minor }, { u32: 4096 }, { u32: flags }));
  const old = start({}, false);
  const answer = exchange(old.session, offer(31, 1 << InitFlag.BIG_WRITES))!;
  t.equal(answer.body.readUInt32LE(4), 31);
  t.equal(answer.body.readUInt32LE(12), 1 << InitFlag.BIG_WRITES);
  t.equal(answer.body.readUInt32LE(32), 0, 'flags2');
  const ancient = start({}, false);
  t.equal(exchange(ancient.session, offer(23, 0))!.error, -EINVAL);
  t.equal(exchange(ancient.session, request({ opcode: Opcode.GETATTR }, Buffer.alloc(16)))!.error, -EPERM);
});

t.test('an unknown opcode is answered ENOSYS, and so are the ones left to the kernel', async (t) => {
  const { session } = start({});
  for (const opcode of [
    0,
    7,
    19,
    54,
    63,
    64,
    4095,
    0xffffffff,
    Opcode.OPEN,
    Opcode.OPENDIR,
    Opcode.CREATE,
    Opcode.FLUSH,
    Opcode.ACCESS,
    Opcode.GETLK,
    Opcode.BMAP,
    Opcode.POLL,
  ]) {
    t.equal(exchange(session, request({ opcode }, Buffer.alloc(64)))!.error, -ENOSYS, `opcode ${opcode}`);
  }
});

t.test('a body shorter than the request needs is EINVAL and does not reach the file system', async (t) => {
  const { session, faults } = start({});
  for (const row of rows) {
    if (row === undefined || row.minimum === 0) continue;
    const answer = exchange(session, request({ opcode: row.opcode }, Buffer.alloc(row.minimum - 1)));
    if (row.kind === 'tells') t.equal(answer, undefined, row.name);
    else t.equal(answer!.error, -EINVAL, row.name);
  }
  t.strictSame(faults, []);
});

t.test(
  'a file system hears at the end which node a request has made, and of none from those that make none',
  async (t) => {
    const ended: [status: number, node: number][] = [];
    const answer = (_parent: number, _name: string, ...rest: unknown[]): number => {
      (rest.at(-1) as EntryOut).nodeId = 5;
      return 0;
    };
    const { session } = start({
      lookup: answer,
      create: answer,
      forget: () => undefined,
      unlink: () => -ENOENT,
      getAttributes: () => 0,
      finish: (status, node) => ended.push([status, node]),
    });
    ended.length = 0;
    const name = body({ name: 'f' });
    const made = body({ u32: 0o100644 }, { u32: 0 }, { u32: 0 }, { u32: 0 }, { name: 'f' });
    for (const [opcode, content] of [
      [Opcode.LOOKUP, name],
      [Opcode.MKNOD, made],
      [Opcode.GETATTR, Buffer.alloc(16)],
      [Opcode.UNLINK, name],
      [Opcode.FORGET, Buffer.alloc(8)],
      [999, name],
    ] as const)
      exchange(session, request({ opcode }, content));
    t.strictSame(ended, [
      [0, 0],
      [0, 5],
      [0, 0],
      [-ENOENT, 0],
      [0, 0],
      [-ENOSYS, 0],
    ]);
  },
);

t.test('a message whose length is not what its header says is dropped', async (t) => {
  const { session } = start({});
  for (const claimed of [0, 39, 41, 1 << 30]) {
    t.equal(exchange(session, request({ opcode: Opcode.STATFS, claimed })), undefined);
  }
  t.equal(session.serve(3), 0);
});

t.test('names that are no component are refused', async (t) => {
  const { session } = start({});
  for (const name of ['', '.', '..', 'a/b', '/']) {
    t.equal(
      exchange(session, request({ opcode: Opcode.UNLINK }, body({ name }, { u32: 0 })))!.error,
      -EINVAL,
      name,
    );
  }
  const unterminated = request({ opcode: Opcode.UNLINK }, Buffer.from('abc'));
  t.equal(exchange(session, unterminated)!.error, -EINVAL, 'no NUL');
});

t.test('a write that claims more data than it brings is refused', async (t) => {
  const { session } = start({ write: () => t.fail('must not be called') as never });
  const content = body(
    { u64: 0 },
    { u64: 0 },
    { u32: 100 },
    { u32: 0 },
    { u64: 0 },
    { u64: 0 },
    { bytes: Buffer.alloc(99) },
  );
  t.equal(exchange(session, request({ opcode: Opcode.WRITE }, content))!.error, -EINVAL);
});

t.test('positions that no file has are refused, not rounded', async (t) => {
  const { session } = start({});
  const far = 2n ** 63n - 1n;
  const write = body(
    { u64: 0 },
    { u64: far },
    { u32: 1 },
    { u32: 0 },
    { u64: 0 },
    { u64: 0 },
    { bytes: Buffer.alloc(1) },
  );
  t.equal(exchange(session, request({ opcode: Opcode.WRITE }, write))!.error, -27, 'EFBIG');
  const size = Buffer.alloc(88);
  size.writeUInt32LE(SetAttr.SIZE, 0);
  size.writeBigUInt64LE(far, 16);
  t.equal(exchange(session, request({ opcode: Opcode.SETATTR }, size))!.error, -27, 'EFBIG');
  const read = body({ u64: 0 }, { u64: far }, { u32: 10 }, { u32: 0 }, { u64: 0 }, { u64: 0 });
  t.match(exchange(session, request({ opcode: Opcode.READ }, read))!, { error: 0, body: Buffer.alloc(0) });
});

t.test('LOOKUP answers node and attributes, and a missing name as an entry to be remembered', async (t) => {
  const stat = Object.assign(new Stat(), {
    mode: 0o100644,
    inodeLow: 5,
    inodeHigh: 1,
    size: 2 ** 40,
    modifySeconds: -1,
  });
  const { session } = start({
    lookup: (parent, name, out) => {
      t.equal(parent, 1);
      if (name !== 'h\xe9') return -ENOENT;
      out.nodeId = 9;
      out.stat.assign(stat);
      return 0;
    },
  });
  const found = exchange(session, request({ opcode: Opcode.LOOKUP }, body({ name: 'h\xe9' })))!;
  t.equal(found.body.length, 128);
  t.equal(found.body.readBigUInt64LE(0), 9n);
  t.equal(found.body.readBigUInt64LE(40), (1n << 32n) | 5n);
  t.equal(found.body.readBigUInt64LE(48), 1n << 40n);
  t.equal(found.body.readBigInt64LE(72), -1n);
  const missing = exchange(session, request({ opcode: Opcode.LOOKUP }, body({ name: 'none' })))!;
  t.equal(missing.error, 0);
  t.equal(missing.body.readBigUInt64LE(0), 0n);
  t.ok(missing.body.readBigUInt64LE(16) > 1_000_000n, 'valid for long');
});

t.test('FORGET and BATCH_FORGET are counted exactly and never answered', async (t) => {
  const forgotten: [number, number][] = [];
  const { session } = start({ forget: (node, count) => void forgotten.push([node, count]) });
  t.equal(exchange(session, request({ opcode: Opcode.FORGET, node: 5 }, body({ u64: 3 }))), undefined);
  const batch = body({ u32: 100 }, { u32: 0 }, { u64: 6 }, { u64: 1 }, { u64: 7 }, { u64: 2 });
  t.equal(exchange(session, request({ opcode: Opcode.BATCH_FORGET }, batch)), undefined);
  t.strictSame(
    forgotten,
    [
      [5, 3],
      [6, 1],
      [7, 2],
    ],
    'no more than the message holds',
  );
});

t.test('GETXATTR tells the size, gives the value, or says that it does not fit', async (t) => {
  const { session } = start({ getXattr: (_, name) => (name === 'user.a' ? Buffer.from('value') : -ENODATA) });
  const ask = (size: number, name: string): Buffer =>
    request({ opcode: Opcode.GETXATTR }, body({ u32: size }, { u32: 0 }, { name }));
  t.equal(exchange(session, ask(0, 'user.a'))!.body.readUInt32LE(0), 5);
  t.equal(exchange(session, ask(5, 'user.a'))!.body.toString(), 'value');
  t.equal(exchange(session, ask(4, 'user.a'))!.error, -ERANGE);
  t.equal(exchange(session, ask(4, 'user.b'))!.error, -ENODATA);
});

t.test('a directory is packed until the reply is full, and goes on where it stopped', async (t) => {
  const names = ['a', 'bb', 'ccc', 'dddd'];
  const { session } = start({
    list: (_, after, sink) => {
      for (const [index, name] of names.entries()) {
        if (index < after) continue;
        if (!sink.add({ inodeLow: index, inodeHigh: 0, cookie: index + 1, type: 0o100000, name })) break;
      }
      return 0;
    },
  });
  const read = (offset: number, size: number): Buffer =>
    exchange(
      session,
      request(
        { opcode: Opcode.READDIR },
        body({ u64: 0 }, { u64: offset }, { u32: size }, { u32: 0 }, { u64: 0 }, { u64: 0 }),
      ),
    )!.body;
  const first = read(0, 70);
  t.equal(first.length, 64, 'two entries of 32 bytes');
  t.equal(first.readBigUInt64LE(8), 1n);
  t.equal(first.toString('latin1', 24, 25), 'a');
  t.equal(first.readUInt32LE(20), 8, 'DT_REG');
  const rest = read(2, 4096);
  t.equal(rest.length, 64);
  t.equal(rest.toString('latin1', 24, 27), 'ccc');
  t.equal(read(4, 4096).length, 0);
});

t.test(
  'an exception in a handler costs its request an EIO, is reported, and the session goes on',
  async (t) => {
    const { session, faults } = start({
      getAttributes: () => {
        throw new Error('a bug');
      },
      syncAll: () => 0,
    });
    t.equal(exchange(session, request({ opcode: Opcode.GETATTR }, Buffer.alloc(16)))!.error, -EIO);
    t.match(faults, ['GETATTR: Error: a bug']);
    t.equal(exchange(session, request({ opcode: Opcode.SYNCFS }, Buffer.alloc(8)))!.error, 0);
  },
);

t.test('no bytes at all make a session throw or answer a length that it does not send', async (t) => {
  const seed = Date.now() % 2 ** 31;
  t.comment(`seed ${seed}`);
  const anything = new Proxy({}, { get: () => () => -ENOENT }) as never;
  const { session, faults } = start(anything);
  const result = fc.check(
    fc.property(fc.integer({ min: 0, max: 60 }), fc.uint8Array({ maxLength: 200 }), (opcode, bytes) => {
      if (opcode === Opcode.INIT) return;
      exchange(session, request({ opcode }, Buffer.from(bytes)));
    }),
    { seed, numRuns: 5000 },
  );
  t.equal(result.failed, false, String(fc.defaultReportMessage(result) ?? 'all were answered'));
  t.strictSame(faults, []);
});

t.test('requests are counted by opcode', async (t) => {
  const { session, counts } = start({ syncAll: () => 0 });
  for (let index = 0; index < 3; index++)
    exchange(session, request({ opcode: Opcode.SYNCFS }, Buffer.alloc(8)));
  t.equal(counts[Opcode.SYNCFS], 3);
  t.equal(counts[Opcode.INIT], 1);
});
