// SPDX-License-Identifier: MIT
/** What a server leaves to the next one. */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import t, { type Test } from 'tap';
import { OWN_WORDS, STATE_PAGE, StateFile, type StateKind } from '../../lib/supervise/state-file.js';
import { close } from '../../lib/sys/files.js';
import { createSharedMemory } from '../../lib/sys/shared-memory.js';

const KIND: StateKind = { magic: 0x1234, format: 7, name: 'thing', remedy: 'make it again' };
const ROOM = { offset: STATE_PAGE, length: STATE_PAGE };

function memory(t: Test): number {
  const fd = createSharedMemory('tsoverlay-test', 4 * STATE_PAGE);
  t.ok(fd >= 0);
  t.teardown(() => close(fd));
  return fd;
}

t.test('the next server finds words, texts and the last one', async (t) => {
  const fd = memory(t);
  const first = StateFile.begin(fd, KIND);
  first.words[OWN_WORDS] = -5;
  const value = { name: 'ä\n', list: [1, null] };
  const size = first.writeJson(ROOM, value);
  t.equal(size, Buffer.byteLength(JSON.stringify(value)));

  const next = StateFile.open(fd, KIND);
  t.equal(next.takeOver(), process.pid);
  t.equal(next.words[OWN_WORDS], -5);
  t.strictSame(next.readJson(ROOM, size), value);
});

t.test('what one process has written outlives it', async (t) => {
  const fd = memory(t);
  StateFile.begin(fd, KIND);
  const write = `
    const { StateFile } = await import(${JSON.stringify(new URL('../../lib/supervise/state-file.js', import.meta.url).href)});
    const state = StateFile.open(3, ${JSON.stringify(KIND)});
    state.takeOver();
    state.words[${OWN_WORDS}] = state.writeJson(${JSON.stringify(ROOM)}, 'from ' + process.pid);
    process.kill(process.pid, 'SIGKILL');`;
  const child = spawnSync(process.execPath, ['--input-type=module', '-e', write], {
    stdio: ['ignore', 'ignore', 'inherit', fd],
  });
  t.equal(child.signal, 'SIGKILL');
  const state = StateFile.open(fd, KIND);
  t.equal(state.readJson(ROOM, state.words[OWN_WORDS]), `from ${child.pid}`);
  t.equal(state.takeOver(), child.pid);
});

t.test('state of another format, or of something else, is refused with what to do', async (t) => {
  const fd = memory(t);
  t.throws(() => StateFile.open(fd, KIND), { message: /format 0, this version reads 7; make it again/ });
  StateFile.begin(fd, { ...KIND, format: 8 });
  t.throws(() => StateFile.open(fd, KIND), {
    name: 'OverlayError',
    message: 'go on with the thing: its state has format 8, this version reads 7; make it again',
  });
  StateFile.begin(fd, { ...KIND, magic: 0x4321 });
  t.throws(() => StateFile.open(fd, KIND), { name: 'OverlayError' });
});

t.test('a text that is too long is refused, and the one before stays', async (t) => {
  const fd = memory(t);
  const state = StateFile.begin(fd, KIND);
  const size = state.writeJson(ROOM, 'short');
  t.throws(() => state.writeJson(ROOM, 'x'.repeat(STATE_PAGE)), { message: /thing: it is too long/ });
  t.equal(state.readJson(ROOM, size), 'short');
});

t.test('a text that is damaged is an error, not half a value', async (t) => {
  const fd = memory(t);
  const state = StateFile.begin(fd, KIND);
  state.writeJson(ROOM, 'here');
  fs.writeSync(fd, '{"x', ROOM.offset);
  t.throws(() => state.readJson(ROOM, 3), { name: 'SyntaxError' });
});
