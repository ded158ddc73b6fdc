// SPDX-License-Identifier: MIT
/** Builds that are ended in the middle: nothing is left of them but finished steps, and the next one begins there. */
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import t from 'tap';
import { Builder, cachedSteps, makeContext } from '../support/builds.js';
import { census, leftSince, PROGRAM } from '../support/containers.js';
import { shell, until } from '../support/ground.js';
import type { Cli } from '../support/images.js';
import { Random } from '../support/random.js';

const KEPT = /^file .*\/(steps|layers|blobs|contexts)(\/|$)/;

interface Running {
  child: ChildProcess;
  said: () => string;
  ended: Promise<number | string>;
}

function start(cli: Cli, context: string, ...args: string[]): Running {
  const child = spawn(PROGRAM, ['build', '--progress=plain', ...args, context], {
    env: { ...process.env, ...cli.environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  for (const stream of [child.stdout!, child.stderr!])
    stream.on('data', (chunk: Buffer) => (said += chunk.toString()));
  const ended = new Promise<number | string>((resolve) =>
    child.on('close', (code, signal) => resolve(code ?? signal!)),
  );
  return { child, said: () => said, ended };
}

const DOCKERFILE = 'FROM box\nRUN echo finished > /f\nRUN echo begun; sleep 1000\n';

t.test(
  'a signal ends a build, leaves nothing half done, and keeps the steps that were finished',
  async (t) => {
    const { cli, base } = await Builder.make(t);
    const context = makeContext(base, { Dockerfile: DOCKERFILE });
    const before = census(cli);
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      const running = start(cli, context);
      await until(() => / begun$/m.test(running.said()), 'the step to begin');
      t.equal(await cli.ok('ps', '-aq'), '', 'its container is not listed');
      running.child.kill(signal);
      t.equal(await running.ended, 1);
      t.match(running.said(), /carry on: it was interrupted; nothing half done is left$/m);
      t.strictSame(
        (await leftSince(before, cli)).filter((line) => !KEPT.test(line)),
        [],
      );
    }
    const again = start(cli, context);
    await until(() => / begun$/m.test(again.said()), 'the step to begin');
    t.strictSame(cachedSteps(again.said()), ['RUN echo finished > /f']);
    again.child.kill('SIGINT');
    await again.ended;
  },
);

t.test(
  'a build that was killed at a random moment leaves nothing damaged, and is built again',
  { timeout: 300_000 },
  async (t) => {
    const random = Random.of(t, 'BUILD_SEED');
    const { cli, base } = await Builder.make(t);
    shell('mkdir big; for i in $(seq 200); do head -c 20000 /dev/urandom > big/$i; done', base);
    const context = makeContext(base, {
      Dockerfile:
        'FROM box AS a\nRUN --mount=type=cache,target=/c date > /c/x; seq 20000 > /a\nFROM box\nCOPY big /big\nRUN echo one > /1; rm -r /big/1*\nRUN --mount=type=secret,id=s sleep 0.2; mv /big /moved\nCOPY --from=a /a /a\n',
    });
    shell(`mv big ${context}`, base);
    shell('echo hidden > secret', base);
    const secret = ['--secret', `id=s,src=${join(base, 'secret')}`];
    const before = census(cli);
    const rounds = Number(process.env.BUILD_ROUNDS ?? 4);
    for (let round = 0; round < rounds; round++) {
      const running = start(cli, context, '--no-cache', '-t', 'built', ...secret);
      await new Promise((resolve) => setTimeout(resolve, random.below(2500)));
      running.child.kill('SIGKILL');
      await running.ended;
      const { stdout } = await cli.run('system', 'check');
      t.notMatch(stdout, /damaged|broken/, 'at most leftovers');
    }
    const whole = start(cli, context, '-t', 'built', ...secret);
    t.equal(await whole.ended, 0, whole.said());
    t.equal(
      await cli.ok('run', '--rm', 'built', 'sh', '-c', 'cat /1; ls /moved | wc -l; wc -l < /a'),
      'one\n89\n20000\n',
    );
    await cli.ok('rmi', 'built');
    await cli.ok('image', 'prune', '-f');
    await cli.ok('build', 'prune', '-fa');
    t.strictSame(
      (await leftSince(before, cli)).filter((line) => !/\/(steps|mount-caches|contexts)$/.test(line)),
      [],
      'nothing is left of those that were killed',
    );
  },
);
