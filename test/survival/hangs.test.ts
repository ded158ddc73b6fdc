// SPDX-License-Identifier: MIT
/** Servers that hang, in a layer that does not answer or by themselves: nobody who does not need it waits. */
import * as fs from 'node:fs';
import { join, resolve } from 'node:path';
import t, { type Test } from 'tap';
import { serverFiles } from '../../lib/supervise/server-files.js';
import { failure, layersOn, makeLayers, mountOurs, run, scratch, shell, until } from '../support/ground.js';
import { figuresOf, recordOf } from '../support/records.js';

/** A mount whose server does not answer until wake is called, as the lower layer of another. */
async function sleepingLayer(t: Test, base: string): Promise<{ path: string; sleep(): void; wake(): void }> {
  const layers = makeLayers(join(base, 'sleeping'), 1);
  shell(
    'echo far > far; mkdir dir; echo deep > dir/deep; seq 100000 > long; truncate -s 511M dir/large; echo the end >> dir/large',
    layers.lowers[0],
  );
  const live = await mountOurs(t, layers);
  const wake = (): void => void process.kill(live.server(), 'SIGCONT');
  return { path: layers.target, sleep: () => void process.kill(live.server(), 'SIGSTOP'), wake };
}

t.test('a layer that stops answering stops nobody who does not need it', async (t) => {
  const base = scratch(t);
  const sleeping = await sleepingLayer(t, base);
  const layers = makeLayers(base, 1);
  shell('echo near > near; mkdir own; echo own > own/file', layers.lowers[0]);
  const { target, unmount } = await mountOurs(
    t,
    { ...layers, lowers: [...layers.lowers, sleeping.path] },
    { hangTimeout: 1 },
  );
  t.equal(fs.readFileSync(join(target, 'far'), 'utf8'), 'far\n');
  t.strictSame(fs.readdirSync(join(target, 'own')), ['file']);
  const { serverPid } = recordOf(target);
  sleeping.sleep();
  t.teardown(sleeping.wake);
  const since = performance.now();
  t.throws(() => fs.readFileSync(join(target, 'dir/deep')), { code: 'EIO' });
  t.ok(performance.now() - since < 5000, 'it fails in time');
  t.equal(fs.readFileSync(join(target, 'near'), 'utf8'), 'near\n');
  fs.appendFileSync(join(target, 'near'), 'er');
  t.equal(
    fs.readFileSync(join(target, 'own/file'), 'utf8'),
    'own\n',
    'directories without a part in it, too',
  );
  fs.writeFileSync(join(target, 'own/new'), 'x');
  t.strictSame(fs.readdirSync(join(target, 'own')).sort(), ['file', 'new']);
  t.throws(() => fs.readFileSync(join(target, 'long')), { code: 'EIO' }, 'at once from then on');
  const second = recordOf(target).serverPid;
  t.not(second, serverPid);
  t.match(
    fs.readFileSync(serverFiles(second).log, 'utf8'),
    new RegExp(`had no answer for \\d s, at ${sleeping.path}; another server goes on`),
  );
  t.strictSame((await figuresOf(target)).hungLayers, [sleeping.path]);
  sleeping.wake();
  await until(() => {
    try {
      return fs.readFileSync(join(target, 'dir/deep'), 'utf8') === 'deep\n';
    } catch {
      return false;
    }
  }, 'the layer to be asked again');
  t.equal(recordOf(target).serverPid, second, 'no other server was needed');
  t.strictSame((await figuresOf(target)).hungLayers, []);
  t.match(fs.readFileSync(serverFiles(second).log, 'utf8'), /answers again/);
  await unmount();
});

t.test('a lazy copy whose layer does not answer is gone on with when it does', async (t) => {
  const base = scratch(t);
  const sleeping = await sleepingLayer(t, base);
  const layers = makeLayers(base, 1);
  const lowers = [...layers.lowers, sleeping.path];
  const { target, unmount } = await mountOurs(t, { ...layers, lowers }, { copyUp: 'lazy', hangTimeout: 1 });
  const path = join(target, 'dir/large');
  const fd = fs.openSync(path, 'r+');
  fs.writeSync(fd, 'written', 300 << 20);
  sleeping.sleep();
  t.teardown(sleeping.wake);
  const read = (at: number): string => {
    const buffer = Buffer.alloc(7);
    fs.readSync(fd, buffer, 0, 7, at);
    return buffer.toString();
  };
  shell('echo 1 > /proc/sys/vm/drop_caches');
  t.equal(
    failure(() => read(300 << 20)),
    'EIO',
    'what is there cannot be told from what is below',
  );
  t.strictSame((await figuresOf(target)).hungLayers, [sleeping.path]);
  sleeping.wake();
  await until(() => failure(() => read(0)) === undefined, 'the layer');
  t.equal(read(300 << 20), 'written');
  t.equal(read(511 << 20), 'the end');
  fs.fsyncSync(fd);
  fs.closeSync(fd);
  await unmount();
  t.equal(
    shell(`cmp -l ${layers.upper}/dir/large ${base}/sleeping/lower0/dir/large | wc -l`),
    '7\n',
    'all of it was copied, and nothing of what was written is lost',
  );
});

t.test('the layer that does not answer is named in a union that is not written, too', async (t) => {
  const base = scratch(t);
  const sleeping = await sleepingLayer(t, base);
  const layers = makeLayers(base, 1);
  const lowers = [...layers.lowers, sleeping.path];
  const { target, unmount } = await mountOurs(t, { ...layers, lowers }, { readOnly: true, hangTimeout: 1 });
  sleeping.sleep();
  t.teardown(sleeping.wake);
  t.throws(() => fs.readFileSync(join(target, 'far')), { code: 'EIO' });
  t.strictSame((await figuresOf(target)).hungLayers, [sleeping.path]);
  sleeping.wake();
  await until(() => failure(() => fs.readFileSync(join(target, 'far'))) === undefined, 'the layer');
  await unmount();
});

/** Servers that are started from now on run `code` when they look for a name: a fault in the program. */
function atLookup(t: Test, base: string, name: string, code: string): void {
  const hook = join(base, 'hook.cjs');
  fs.writeFileSync(
    hook,
    `const { isMainThread } = require('node:worker_threads');
     const koffi = require('${resolve('node_modules/koffi')}');
     const load = koffi.load;
     if (!isMainThread) koffi.load = (library) => {
       const real = load(library);
       return { func: (prototype) => {
         const native = real.func(prototype);
         if (!/ statx\\(/.test(prototype)) return native;
         return (...args) => {
           if (Buffer.isBuffer(args[1]) && args[1].toString('latin1').startsWith('${name}\\0')) ${code};
           return native(...args);
         };
       } };
     };`,
  );
  process.env.NODE_OPTIONS = `--require=${hook}`;
  t.teardown(() => void delete process.env.NODE_OPTIONS);
}

for (const [title, code] of [
  ['an endless loop in the server is ended', 'for (;;)'],
  ['a request that every server ends with is given up', "process.kill(process.pid, 'SIGKILL')"],
]) {
  t.test(title, async (t) => {
    const base = scratch(t);
    const layers = makeLayers(base, 1);
    atLookup(t, base, 'fatal', code);
    const { target, unmount } = await mountOurs(t, layers, { hangTimeout: 1 });
    t.throws(() => fs.statSync(join(target, 'fatal')), { code: 'EIO' });
    fs.writeFileSync(join(target, 'f'), 'x');
    t.equal(fs.readFileSync(join(target, 'f'), 'utf8'), 'x');
    await unmount();
  });
}

t.test('an upper that takes no changes stops nobody from reading', async (t) => {
  const layers = layersOn(t, (ground) =>
    shell(`truncate -s 32M ${ground}.img; mkfs.ext4 -q ${ground}.img; mount -o loop ${ground}.img ${ground}`),
  );
  const { target, unmount } = await mountOurs(t, layers, { hangTimeout: 1 });
  const path = (name: string): string => join(target, name);
  fs.writeFileSync(path('known'), 'known');
  const first = recordOf(target).serverPid;
  // What the next server would tidy up, if that did not wait.
  fs.writeFileSync(join(layers.work, 'work/#left'), '');
  run('fsfreeze', '-f', layers.ground);
  let isFrozen = true;
  const thaw = (): void => {
    if (isFrozen) run('fsfreeze', '-u', layers.ground);
    isFrozen = false;
  };
  t.teardown(thaw);
  t.equal(
    failure(() => fs.mkdirSync(path('stuck'))),
    'EIO',
  );
  await until(() => recordOf(target).serverPid !== first, 'another server');
  const { serverPid } = recordOf(target);
  t.equal(fs.readFileSync(path('known'), 'utf8'), 'known');
  t.strictSame(fs.readdirSync(target), ['known']);
  for (const change of [
    () => fs.appendFileSync(path('known'), 'x'),
    () => fs.writeFileSync(path('new'), 'x'),
    () => fs.renameSync(path('known'), path('moved')),
    () => fs.chmodSync(path('known'), 0o600),
    () => fs.rmSync(path('known')),
  ])
    t.equal(failure(change), 'EIO', 'at once');
  t.equal(recordOf(target).serverPid, serverPid, 'no further server hangs');
  t.strictSame((await figuresOf(target)).hungLayers, [layers.upper]);
  t.ok(fs.existsSync(`/proc/${first}`), 'the kernel has not let go of the first server');
  process.kill(serverPid, 'SIGKILL');
  t.equal(
    fs.readFileSync(path('known'), 'utf8'),
    'known',
    'the end of the second one is noticed all the same',
  );
  await until(() => recordOf(target).serverPid !== serverPid, 'a third server');
  const third = recordOf(target).serverPid;
  thaw();
  await until(() => failure(() => fs.appendFileSync(path('known'), ' again')) === undefined, 'changes');
  t.equal(fs.readFileSync(path('known'), 'utf8'), 'known again');
  t.equal(recordOf(target).serverPid, third, 'no other server was needed');
  t.strictSame((await figuresOf(target)).hungLayers, []);
  await unmount();
});
