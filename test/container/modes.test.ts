// SPDX-License-Identifier: MIT
/** Whose the files of a store and of the runtime directory are, whatever the umask of who starts the program. */
import { chmodSync, lstatSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import t from 'tap';
import { makeContext } from '../support/builds.js';
import { boxCli, PROGRAM } from '../support/containers.js';
import { makeLayers, run, scratch } from '../support/ground.js';

/** Trees that containers see: their roots are passable for all, what is in them has the modes that an image or a program gave. */
const SHOWN =
  /^(layers\/[^/]+\/diff|volumes\/[^/]+|mount-caches\/[^/]+\/data|containers\/[^/]+\/(upper|rootfs)|empty)$/;
/** Files that are mounted into a container, for every user there. */
const READ_BY_ALL = /^containers\/[^/]+\/(hosts|hostname|resolv\.conf)$/;

const DOCKERFILE = `FROM box AS base
RUN mkdir -m 700 /mine && chown 1000 /mine && echo kept > /file
FROM base
USER ann
RUN --mount=from=base,target=/from --mount=target=/context --mount=type=secret,id=s,uid=1000 \\
  cat /from/file /context/given /run/secrets/s > /mine/seen
RUN --mount=type=cache,target=/cache,uid=1000 touch /cache/x
ADD given /given
`;

function* objects(root: string, path = root): Generator<string> {
  const below = relative(root, path);
  yield below;
  if (SHOWN.test(below) || !lstatSync(path).isDirectory()) return;
  for (const name of readdirSync(path)) yield* objects(root, join(path, name));
}

/** What is open to others than its owner, as `ls` would name it. */
function tooOpen(root: string): string[] {
  const found: string[] = [];
  for (const path of objects(root)) {
    const stat = lstatSync(join(root, path));
    const mode = stat.mode & 0o7777;
    const refused = stat.isDirectory() || READ_BY_ALL.test(path) ? 0o022 : 0o077;
    const isWrong = SHOWN.test(path) ? mode !== 0o755 : (mode & refused) !== 0;
    if (isWrong && !stat.isSymbolicLink()) found.push(`${mode.toString(8)} ${path}`);
  }
  return found;
}

for (const umask of ['0', '077']) {
  t.test(
    `umask ${umask}: what the program makes is its owner's, and what containers see is for all in them`,
    async (t) => {
      const base = scratch(t);
      const cli = await boxCli(t, base, ['sh', '-c', `umask ${umask}; exec "$0" "$@"`, PROGRAM]);
      const runtime = join(base, 'runtime');
      mkdirSync(runtime, { mode: 0o700 });
      cli.environment.TSOVERLAY_RUNTIME_DIR = runtime;
      const context = makeContext(base, { Dockerfile: DOCKERFILE, given: 'given\n' });
      chmodSync(context, 0o755);
      writeFileSync(join(base, 'secret'), 'secret\n');
      await cli.ok('build', '-q', '--secret', 'id=s,src=secret', '-t', 'built', context);
      const script = 'cat /file /mine/seen; id -u; echo x > /tmp/x; exec sleep 1000';
      await cli.ok(
        'run',
        '-d',
        '--name',
        'one',
        '-v',
        'vol:/vol',
        '-v',
        '/nameless',
        'built',
        'sh',
        '-c',
        script,
      );
      t.equal(await cli.ok('exec', 'one', 'cat', '/tmp/x', '/given'), 'x\ngiven\n');
      t.equal(await cli.ok('logs', 'one'), 'kept\nkept\ngiven\nsecret\n1000\n');
      const { lowers, upper, work, target } = makeLayers(join(base, 'layers'), 1);
      await cli.ok('mount', '--lower', lowers[0], '--upper', upper, '--work', work, target);
      t.teardown(() => run('umount', target));
      run('touch', join(target, 'made'));
      t.strictSame(tooOpen(cli.root), [], 'in the store');
      t.strictSame(tooOpen(runtime), [], 'in the runtime directory');
      t.strictSame(tooOpen(work), [], 'in the work directory');
    },
  );
}
