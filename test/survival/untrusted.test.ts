// SPDX-License-Identifier: MIT
/**
 * What users and layers that nobody trusts cannot do (SECURITY.md).
 *
 * @alone: it counts the nodes that the kernel keeps, and other files drop its caches
 */
import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { askServer } from '../../lib/mount/control.js';
import { runtimeDirectory } from '../../lib/supervise/runtime-directory.js';
import { serverFiles } from '../../lib/supervise/server-files.js';
import { residentMemoryOf } from '../../lib/sys/proc.js';
import { makeLayers, mountOurs, run, runInside, scratch, shell } from '../support/ground.js';

/** Runs a script as an ordinary user; answers what it said and how it ended. */
function asNobody(script: string): { status: number | null; said: string } {
  const { status, stdout, stderr } = spawnSync(
    'setpriv',
    ['--reuid=65534', '--regid=65534', '--clear-groups', 'bash', '-c', script],
    { encoding: 'utf8', cwd: '/' },
  );
  return { status, said: stdout + stderr };
}

t.test('another user cannot read a mount that is not for others, nor talk to its server', async (t) => {
  const base = scratch(t);
  fs.chmodSync(base, 0o755);
  const layers = makeLayers(base, 1);
  shell('echo secret > f; chmod 666 f', layers.lowers[0]);
  const { target, serverPid } = await mountOurs(t, layers, { allowOther: false });
  t.equal(fs.readFileSync(join(target, 'f'), 'utf8'), 'secret\n');
  for (const script of [`cat ${target}/f`, `ls ${target}`, `stat ${target}/f`]) {
    const { status, said } = asNobody(script);
    t.not(status, 0, script);
    t.match(said, /Permission denied/);
    t.notMatch(said, /secret/);
  }
  t.equal(fs.statSync(runtimeDirectory()).mode & 0o777, 0o700);
  t.equal(fs.statSync(serverFiles(serverPid).socket).mode & 0o777, 0o600);
  const { socket } = serverFiles(serverPid);
  const talk = asNobody(`python3 -c "import socket; socket.socket(socket.AF_UNIX).connect('${socket}')"`);
  t.match(talk.said, /PermissionError/);
  t.match(asNobody(`kill -9 ${serverPid}`).said, /not permitted/);
});

t.test('a root inside the merged view stays in it', async (t) => {
  const base = scratch(t);
  const layers = makeLayers(base, 1);
  fs.writeFileSync(join(base, 'secret'), 'outside');
  const [lower] = layers.lowers;
  shell(
    `mkdir -p bin proc dev dir; cp /bin/busybox bin/; for p in sh ls cat ln mv mknod mkdir rm find setfattr sleep seq; do ln -s busybox bin/$p; done
     ln -s ${base}/secret absolute; ln -s ../../../../../../../..${base}/secret relative; ln -s ../../secret dir/up; ln -s /work/work dir/work`,
    lower,
  );
  const { target } = await mountOurs(t, layers);
  const inside = (script: string): string => runInside(target, script.replaceAll('\n', '; '));
  run('cp', '/bin/busybox', join(target, 'bin/bash'));
  fs.rmSync(join(target, 'bin/bash'));
  fs.writeFileSync(join(target, 'bin/bash'), '#!/bin/sh\nshift; exec sh -c "$@"\n', { mode: 0o755 });
  t.match(
    inside('for link in absolute relative dir/up dir/work; do cat $link 2>&1 || true; done'),
    /^(cat: can't open .*\n){4}$/,
  );
  t.match(inside('mknod white c 0 0 2>&1 || true'), /not permitted/);
  t.notMatch(
    inside('find / -xdev'),
    /#[0-9a-f]+$|secret|upper/m,
    'neither work directory nor upper is to be found',
  );

  await t.test('it stays in it while directories and symlinks change places under it', async (t) => {
    const said =
      inside(`mkdir -p swap/d; echo inside > swap/d/secret; ln -s ../../../../../../../..${base} swap/l
      (for i in $(seq 400); do mv swap/d swap/x; mv swap/l swap/d; mv swap/d swap/l; mv swap/x swap/d; done) & for i in $(seq 400); do cat swap/d/secret 2>/dev/null; done; wait`);
    t.match(said, /inside/);
    t.notMatch(said, /outside/);
  });
});

t.test(
  "attributes in the overlay's own namespace mean nothing when they are set through the mount",
  async (t) => {
    const base = scratch(t);
    const layers = makeLayers(base, 2);
    shell('mkdir -p d secret; echo low > d/f; echo s > secret/s', layers.lowers[1]);
    const { target, unmount } = await mountOurs(t, layers);
    for (const mark of ['opaque', 'redirect', 'metacopy', 'origin', 'whiteout', 'nlink', 'upper']) {
      run(
        'setfattr',
        '-n',
        `trusted.overlay.${mark}`,
        '-v',
        mark === 'redirect' ? '/secret' : 'y',
        join(target, 'd'),
      );
      t.match(
        run('getfattr', '-n', `trusted.overlay.${mark}`, '--only-values', join(target, 'd')),
        /y|secret/,
      );
    }
    await unmount();
    const again = await mountOurs(t, layers);
    t.strictSame(fs.readdirSync(join(target, 'd')), ['f'], 'neither opaque nor led elsewhere');
    await again.unmount();
  },
);

t.test(
  'a directory of 60,000 entries costs bounded memory, and the server goes on',
  { timeout: 120_000 },
  async (t) => {
    const base = scratch(t);
    const layers = makeLayers(base, 1);
    shell('mkdir many; cd many; seq 60000 | xargs touch; touch ../other', layers.lowers[0]);
    const { target, server } = await mountOurs(t, layers);
    t.equal(fs.readdirSync(join(target, 'many')).length, 60_000);
    t.equal(shell('ls -f many | wc -l; find many -name "5999*" | wc -l', target).trim(), '60002\n11');
    const { nodes } = await askServer(server(), { command: 'figures' });
    t.ok(nodes > 30_000, 'the kernel knows most of them');
    const memory = residentMemoryOf(server());
    t.ok(memory < 600 << 20, `${memory} bytes`);
    t.ok(fs.existsSync(join(target, 'other')));
    process.kill(server(), 'SIGKILL');
    const since = performance.now();
    t.ok(fs.existsSync(join(target, 'many/77')));
    t.notOk(fs.existsSync(join(target, 'many/none')));
    t.ok(performance.now() - since < 3000, 'also after the server is killed');
    shell('rm -r many', target);
    t.strictSame(fs.readdirSync(target), ['other']);
  },
);
