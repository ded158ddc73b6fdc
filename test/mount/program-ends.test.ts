// SPDX-License-Identifier: MIT
/** What a program leaves behind that has mounts of the library and ends, in whatever way. */
import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { fromText } from '../../lib/base/bytes.js';
import { mount } from '../../lib/index.js';
import { listMounts } from '../../lib/sys/mounts.js';
import { makeLayers, run, scratch, until } from '../support/ground.js';

const library = new URL('../../lib/index.js', import.meta.url).href;

const BEGIN = `
  import { mkdirSync, openSync, writeFileSync } from 'node:fs';
  import { isMainThread, Worker, parentPort } from 'node:worker_threads';
  const { mount, Overlay } = await import(${JSON.stringify(library)});
  const base = process.argv[2];
  async function layersOf(name) {
    for (const part of ['l', 'u', 'w', 'm']) mkdirSync(base + '/' + name + '/' + part, { recursive: true });
    const at = base + '/' + name;
    return { lowers: [at + '/l'], upper: at + '/u', work: at + '/w', target: at + '/m' };
  }
  async function begin(name) {
    const { target, ...layers } = await layersOf(name);
    const mounted = await mount(target, layers);
    writeFileSync(target + '/x', 'kept');
    return mounted;
  }
`;

interface End {
  status: number | null;
  signal: NodeJS.Signals | null;
  stderr: string;
  /** Targets that are still mounted. */
  left: string[];
}

/** Runs a program to its end; `ready` is called when it has written a line. */
async function end(base: string, script: string, ready?: (child: number) => void): Promise<End> {
  const file = join(base, 'program.mjs');
  writeFileSync(file, BEGIN + script);
  const child = spawn(process.execPath, [file, base], { stdio: ['ignore', 'pipe', 'pipe'] });
  let stderr = '';
  child.stderr.on('data', (text) => {
    stderr += text;
  });
  child.stdout.once('data', () => ready?.(child.pid!));
  const late = setTimeout(() => child.kill('SIGKILL'), 60_000);
  const [status, signal] = await new Promise<[number | null, NodeJS.Signals | null]>((resolve) =>
    child.on('close', (...how) => resolve(how)),
  );
  clearTimeout(late);
  const left = listMounts().filter(
    ({ target, type }) => target.startsWith(fromText(base)) && type.startsWith('fuse'),
  );
  for (const { target } of left) run('umount', '-l', Buffer.from(target, 'latin1').toString());
  return { status, signal, stderr, left: left.map(({ target }) => target) };
}

const WAYS: Record<string, { script: string; signal?: NodeJS.Signals; status?: number }> = {
  'process.exit': { script: `await begin('a'); process.exit(7);`, status: 7 },
  'an error that nobody catches': { script: `await begin('a'); throw new Error('ends here');`, status: 1 },
  'process.exit beside a file that is open': {
    script: `await begin('a'); openSync(base + '/a/m/x', 'r'); process.exit(7);`,
    status: 7,
  },
  'process.exit in a worker': {
    script: `if (isMainThread) {
        const worker = new Worker(new URL(import.meta.url), { argv: [base] });
        worker.on('exit', (code) => process.exit(code));
      } else { await begin('a'); process.exit(7); }`,
    status: 7,
  },
  SIGTERM: { script: `await begin('a'); console.log('ready');`, signal: 'SIGTERM' },
  SIGINT: { script: `await begin('a'); console.log('ready');`, signal: 'SIGINT' },
  SIGHUP: { script: `await begin('a'); console.log('ready');`, signal: 'SIGHUP' },
};

for (const [name, { script, signal, status = null }] of Object.entries(WAYS)) {
  t.test(`a program ends by ${name} at once, and leaves no mount`, async (t) => {
    const base = scratch(t);
    const ended = await end(base, script, (pid) => signal && process.kill(pid, signal));
    t.match(ended, { status, signal: signal ?? null, left: [] }, ended.stderr);
    if (!/while/.test(name))
      t.equal(readFileSync(join(base, 'a/u/x'), 'utf8'), 'kept', 'what was written is there');
  });
}

t.test('where a program handles a signal itself, its mounts go on', async (t) => {
  const base = scratch(t);
  const script = `const mounted = await begin('a');
    process.on('SIGTERM', async () => {
      writeFileSync(base + '/a/m/late', 'written');
      await mounted.unmount();
    });
    console.log('ready');`;
  t.match(await end(base, script, (pid) => process.kill(pid, 'SIGTERM')), { status: 0, left: [] });
  t.equal(readFileSync(join(base, 'a/u/late'), 'utf8'), 'written');
});

t.test('a worker that is terminated ends, and nobody waits for its mount', async (t) => {
  const base = scratch(t);
  const script = `if (isMainThread) {
      const worker = new Worker(new URL(import.meta.url), { argv: [base] });
      worker.once('message', async () => {
        await worker.terminate();
        try { openSync(base + '/a/m/x', 'r'); } catch (failure) { process.stderr.write(failure.code); }
        process.exit(3);
      });
    } else { await begin('a'); parentPort.postMessage('ready'); }`;
  t.match(await end(base, script), { status: 3, stderr: 'ENOTCONN' });
});

t.test('what a killed program leaves says how it is removed, and the layers are free', async (t) => {
  const base = scratch(t);
  const file = join(base, 'program.mjs');
  writeFileSync(file, `${BEGIN} await begin('a'); process.kill(process.pid, 'SIGKILL');`);
  const child = spawn(process.execPath, [file, base], { stdio: 'ignore' });
  await new Promise((resolve) => child.on('exit', resolve));
  const at = join(base, 'a');
  const layers = { lowers: [join(at, 'l')], upper: join(at, 'u'), work: join(at, 'w') };
  await t.rejects(mount(join(at, 'm'), layers), { message: /umount -l .*\/a\/m/ });
  run('umount', '-l', join(at, 'm'));
  const mounted = await mount(join(at, 'm'), layers);
  t.equal(readFileSync(join(at, 'm/x'), 'utf8'), 'kept');
  await mounted.unmount();
});

t.test('fifty overlays and mounts live in one process and end with it', async (t) => {
  const base = scratch(t);
  const script = `for (let n = 0; n < 25; n++) {
      await begin('m' + n);
      const { target, ...layers } = await layersOf('o' + n);
      const overlay = await Overlay.open(layers);
      await overlay.writeFile('/x', 'kept');
    }
    process.exit(7);`;
  const ended = await end(base, script);
  t.match(ended, { status: 7, left: [] }, ended.stderr);
  for (let n = 0; n < 25; n++) {
    t.equal(readFileSync(join(base, `m${n}/u/x`), 'utf8'), 'kept');
    t.equal(readFileSync(join(base, `o${n}/u/x`), 'utf8'), 'kept');
  }
});

t.test('mounts that come and go in one process leave no descriptor and no listener', async (t) => {
  const { target, ...layers } = makeLayers(scratch(t), 1);
  const descriptors = (): number => readdirSync('/proc/self/fd').length;
  mkdirSync(target, { recursive: true });
  const before = [descriptors(), process.listenerCount('exit'), process.listenerCount('SIGTERM')];
  for (let n = 0; n < 3; n++) {
    const mounted = await mount(target, layers);
    closeSync(openSync(join(target, 'x'), 'a'));
    await mounted.unmount();
  }
  // A thread's own go a little later than its mount.
  await until(() => descriptors() <= before[0], 'the descriptors of the threads to go');
  t.strictSame([process.listenerCount('exit'), process.listenerCount('SIGTERM')], before.slice(1));
});
