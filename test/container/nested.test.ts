// SPDX-License-Identifier: MIT
/** Containers and builds of ours in a container of ours: the store lies on a mount of ours. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { boxCli } from '../support/containers.js';
import { scratch, shell } from '../support/ground.js';

/** Steps that remove, replace and move what lower layers have; each prints a line of what is seen then. */
const INSIDE = `
set -e
tsoverlay=/checkout/bin/tsoverlay
$tsoverlay load -i /given/nest.tar > /dev/null
$tsoverlay run --network none --name one nest sh -c \\
  'rm /gone; rm -r /d; mkdir /d; touch /d/new; mv /srv /moved; echo run: $(ls -d /gone /d/* /srv /moved 2>/dev/null)'
echo diff: $($tsoverlay diff one)
$tsoverlay commit one kept > /dev/null
echo commit: $($tsoverlay run --network none --rm kept sh -c 'ls -d /gone /d/* /srv /moved 2>/dev/null')
$tsoverlay build --network none -q -t built /given/context > /dev/null
echo build: $($tsoverlay run --network none --rm built sh -c 'ls -d /gone /d/* /src/* 2>/dev/null')
echo removed: $($tsoverlay layers built | awk '{ print $6 }' | tail -n +2 | head -n 3)
`;

t.test(
  'a container in a container removes, replaces and moves what its image has, and so does a build',
  async (t) => {
    const base = scratch(t);
    const cli = await boxCli(t, base);
    const given = join(base, 'given');
    mkdirSync(join(given, 'context'), { recursive: true });
    shell(
      `mkdir -p box/usr box/checkout box/given box/var box/run box/d; ln -s usr/lib box/lib; ln -s usr/lib64 box/lib64
     echo 1 > box/d/x; echo 2 > box/gone
     touch given/context/a given/context/b; echo b > given/context/.dockerignore`,
      base,
    );
    writeFileSync(
      join(given, 'context/Dockerfile'),
      'FROM nest\nRUN rm -r /gone /d && mkdir /d && touch /d/new\nCOPY . /src\n',
    );
    writeFileSync(join(given, 'inside.sh'), INSIDE);
    await cli.ok('import', join(base, 'box'), 'nest');
    await cli.ok('save', '-o', join(given, 'nest.tar'), 'nest');
    const volumes = ['/usr:/usr:ro', `${process.cwd()}:/checkout:ro`, `${given}:/given`].flatMap((one) => [
      '-v',
      one,
    ]);
    const printed = await cli.ok('run', '--rm', '--privileged', ...volumes, 'nest', 'sh', '/given/inside.sh');
    t.strictSame(printed.trim().split('\n'), [
      'run: /d/new /moved',
      'diff: C /d A /d/new D /d/x C /etc D /gone A /moved D /srv',
      'commit: /d/new /moved',
      'build: /d/new /src/Dockerfile /src/a',
      'removed: 0 1 0',
    ]);
  },
);
