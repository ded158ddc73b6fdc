// SPDX-License-Identifier: MIT
/** Bytes on their way between a program and everybody else, which outlive the server that moves them. */
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { fstatSync, readSync, writeSync } from 'node:fs';
import t, { type Test } from 'tap';
import { EAGAIN } from '../../../lib/base/errno.js';
import { check } from '../../../lib/base/errors.js';
import {
  InputJournal,
  makeJournal,
  OutputJournal,
  type Passage,
} from '../../../lib/container/program/journal.js';
import { makePipe, setStatusFlags } from '../../../lib/sys/channels.js';
import { close, O_NONBLOCK, O_RDWR } from '../../../lib/sys/files.js';

/** Neither end of it waits. */
function pipe(t: Test): { exit: number; entrance: number } {
  const [exit, entrance] = check(makePipe(), { operation: 'make a pipe' });
  for (const end of [exit, entrance]) setStatusFlags(end, O_RDWR | O_NONBLOCK);
  t.teardown(() => {
    for (const end of [exit, entrance]) close(end);
  });
  return { exit, entrance };
}

function journal(t: Test): number {
  const fd = makeJournal();
  t.teardown(() => close(fd));
  return fd;
}

/** All that can be read of a pipe now. */
function drain(fd: number): Buffer {
  const bytes = Buffer.alloc(1 << 20);
  try {
    return Buffer.from(bytes.subarray(0, readSync(fd, bytes)));
  } catch (failure) {
    if ((failure as NodeJS.ErrnoException).code === 'EAGAIN') return Buffer.alloc(0);
    throw failure;
  }
}

t.test('output is taken as it comes, and a later server goes on where this one was', async (t) => {
  const fd = journal(t);
  const program = pipe(t);
  const first = new OutputJournal(fd);
  t.equal(first.take(program.exit), -EAGAIN, 'nothing is there');
  writeSync(program.entrance, 'one ');
  t.equal(first.take(program.exit), 4);
  t.equal(first.end, 4);
  // The next server has the same open file, and nothing else.
  const next = new OutputJournal(fd);
  t.equal(next.end, 4);
  writeSync(program.entrance, 'two');
  t.equal(next.take(program.exit), 3);
  t.equal(next.read(0, next.end).toString(), 'one two');
  t.equal(next.read(4, 7).toString(), 'two');
});

t.test('what a server that is killed has taken is there once, and all of it', async (t) => {
  const fd = journal(t);
  const program = pipe(t);
  const sent = randomBytes(40_000);
  writeSync(program.entrance, sent);
  const module = (name: string): string => new URL(`../../../lib/${name}.js`, import.meta.url).href;
  const take = `
    const { OutputJournal } = await import('${module('container/program/journal')}');
    const journal = new OutputJournal(3);
    journal.take(4);
    process.kill(process.pid, 'SIGKILL');`;
  const { signal } = spawnSync(process.execPath, ['--input-type=module', '-e', take], {
    stdio: ['ignore', 'ignore', 'inherit', fd, program.exit],
  });
  t.equal(signal, 'SIGKILL');
  const next = new OutputJournal(fd);
  while (next.take(program.exit) > 0);
  t.ok(next.read(0, next.end).equals(sent), `${next.end} bytes`);
});

t.test('of a terminal also what was in between is not lost', async (t) => {
  const fd = journal(t);
  const passage: Passage = pipe(t);
  const terminal = pipe(t);
  // A server was killed when it had moved these no further.
  writeSync(passage.entrance, 'before ');
  writeSync(terminal.entrance, 'after');
  const next = new OutputJournal(fd, passage);
  while (next.take(terminal.exit) > 0);
  t.equal(next.read(0, next.end).toString(), 'before after');
});

t.test('what is long past takes no memory', async (t) => {
  const fd = journal(t);
  const program = pipe(t);
  const output = new OutputJournal(fd);
  const piece = Buffer.alloc(65536, 'x');
  const used = (): number => fstatSync(fd).blocks * 512;
  let most = 0;
  for (let round = 0; round < 100; round++) {
    writeSync(program.entrance, piece);
    t.equal(output.take(program.exit), piece.length);
    output.settle(output.end);
    most = Math.max(most, used());
  }
  t.ok(most <= 3 << 20, `${most} bytes at most, of ${output.end}`);
  t.ok(output.read(output.end - 10, output.end).equals(piece.subarray(0, 10)), 'the last is there');
});

t.test('input waits for a program that reads slowly, and reaches it once', async (t) => {
  const fd = journal(t);
  const program = pipe(t);
  const input = new InputJournal(fd);
  t.equal(input.give(program.entrance), 0, 'there is nothing to give');
  const sent = randomBytes(200_000);
  input.add(sent);
  t.equal(input.size, sent.length);
  t.equal(input.give(program.entrance), -EAGAIN);
  t.ok(input.waiting > 0 && input.waiting < sent.length, `${input.waiting} wait`);
  const received = [drain(program.exit)];
  // Another server goes on.
  const next = new InputJournal(fd);
  t.equal(next.waiting, input.waiting);
  for (let status = -EAGAIN; status !== 0; received.push(drain(program.exit)))
    status = next.give(program.entrance);
  t.ok(Buffer.concat(received).equals(sent));
  t.equal(next.waiting, 0);
});

t.test('what nobody has read is not for the next program', async (t) => {
  const fd = journal(t);
  const passage: Passage = pipe(t);
  const input = new InputJournal(fd, passage);
  writeSync(passage.entrance, 'in between');
  input.add(Buffer.from('for the last one'));
  input.dropRest();
  t.equal(input.waiting, 0);
  input.add(Buffer.from('new'));
  const terminal = pipe(t);
  t.equal(input.give(terminal.entrance), 0);
  t.equal(drain(terminal.exit).toString(), 'new');
});
