// SPDX-License-Identifier: MIT
/**
 * Two commands on one store at once, each pair of those that change or read it, with a kill in one of them:
 * the store is whole afterwards, and each image in it can be read.
 *
 * STORE_SEED says at which moments, STORE_ROUNDS how often each pair is tried.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { checkStore } from '../../../lib/image/store/check.js';
import { findImage, listImages } from '../../../lib/image/store/images.js';
import { Store } from '../../../lib/image/store/store.js';
import { scratch } from '../../support/ground.js';
import { type Cli, type Outcome, storeCli } from '../../support/images.js';
import { OddRegistry } from '../../support/odd-registry.js';
import { Random } from '../../support/random.js';

const ROUNDS = Number(process.env.STORE_ROUNDS ?? 1);
const LONGEST_MS = 300;
const PROGRAM = join(process.cwd(), 'bin/tsoverlay');

/** What one command may be told because of the other. */
const MET = /there is no such image|there is none|others use the store|it has several names/;

interface Ground {
  cli: Cli;
  commands: Record<string, string[]>;
  /** Brings back what a pair has taken away. */
  restore(): Promise<void>;
}

async function prepare(t: Test): Promise<Ground> {
  const base = scratch(t);
  const registry = await OddRegistry.start(t);
  registry.image('app', '1', { 'etc/name': 'app', large: 'x'.repeat(500_000) });
  const cli = storeCli(t, base);
  const [app, pushed, archive] = [
    `${registry.host}/app:1`,
    `${registry.host}/pushed:1`,
    join(base, 'app.tar'),
  ];
  const context = join(base, 'context');
  mkdirSync(context);
  writeFileSync(join(context, 'Dockerfile'), `FROM ${app}\nCOPY Dockerfile /copied\n`);
  const restore = async (): Promise<void> => {
    await cli.ok('pull', '-q', app);
    await cli.ok('tag', app, 'kept');
    await cli.ok('tag', app, pushed);
  };
  await restore();
  await cli.ok('save', '-o', archive, 'kept');
  const commands = {
    pull: ['pull', '-q', app],
    load: ['load', '-q', '-i', archive],
    build: ['build', '-q', '-t', 'built', context],
    tag: ['tag', 'kept', 'other'],
    rmi: ['rmi', '-f', app, 'kept'],
    prune: ['image', 'prune', '-af'],
    push: ['push', '-q', pushed],
    check: ['system', 'check', '--repair'],
  };
  return { cli, commands, restore };
}

interface Running {
  child: ChildProcess;
  outcome: Promise<Outcome>;
}

function start({ environment, base }: Cli, words: readonly string[]): Running {
  const child = spawn(PROGRAM, words, {
    env: { ...process.env, ...environment },
    cwd: base,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ended = new Promise<number | null>((resolve) => child.on('close', resolve));
  const outcome = Promise.all([text(child.stdout), text(child.stderr), ended]).then(
    ([stdout, stderr, status]) => ({ stdout, stderr, status }),
  );
  return { child, outcome };
}

/** Whole, and what is listed can be read to its last file. */
async function checkWhole(t: Test, cli: Cli, what: string): Promise<void> {
  const findings = await checkStore(Store.open(cli.root), false, () => new Set());
  const faults = findings.filter(({ kind }) => kind !== 'garbage' && kind !== 'leftover');
  t.strictSame(faults, [], `${what}: nothing is damaged`);
  for (const id of new Set((await cli.ok('images', '-q')).split('\n').filter(Boolean)))
    await cli.ok('export', '-o', '/dev/null', id);
}

const NAMES = ['pull', 'load', 'build', 'tag', 'rmi', 'prune', 'push', 'check'];
const PAIRS = NAMES.flatMap((first, at) => NAMES.slice(at).map((second) => [first, second] as const));

t.test('an image that is removed while the list is read is left out of it', async (t) => {
  const { cli } = await prepare(t);
  await cli.ok('import', cli.base, 'another');
  const store = Store.open(cli.root);
  const { names } = findImage(store, 'kept').image;
  const readBlob = store.readDocument.bind(store);
  store.readDocument = (digest) => {
    store.readDocument = readBlob;
    spawnSync(PROGRAM, ['rmi', '-f', ...names], { env: { ...process.env, ...cli.environment } });
    return store.readDocument(digest);
  };
  t.strictSame(
    listImages(store).flatMap((image) => image.names),
    ['docker.io/library/another:latest'],
  );
});

t.test(
  'every pair of commands at once leaves the store whole, whichever is killed',
  { timeout: 900_000 },
  async (t) => {
    const random = Random.of(t, 'STORE_SEED');
    const { cli, commands, restore } = await prepare(t);
    for (let round = 0; round < ROUNDS; round++) {
      for (const pair of PAIRS) {
        const what = pair.join(' and ');
        const killed = random.below(3);
        const running: Running[] = [];
        for (const name of pair) {
          running.push(start(cli, commands[name]));
          await delay(random.below(60));
        }
        if (killed < 2) {
          await delay(random.below(LONGEST_MS));
          running[killed].child.kill('SIGKILL');
        }
        for (const [at, { outcome }] of running.entries()) {
          const { status, stderr } = await outcome;
          if (at === killed) continue;
          t.ok(status === 0 || MET.test(stderr), `${what}: ${pair[at]}: ${stderr}`);
          t.notMatch(stderr, /should not happen|\n +at /, what);
        }
        await checkWhole(t, cli, what);
        await restore();
      }
    }
    await cli.ok('image', 'prune', '-af');
    t.equal(await cli.ok('images', '-q'), '');
    t.strictSame(readdirSync(join(cli.root, 'staging')), []);
  },
);
