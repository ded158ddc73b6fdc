// SPDX-License-Identifier: MIT
/** Every case of cases.ts built by us and by Buildah: the same files, the same configuration. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import t from 'tap';
import { BuildahStore } from '../support/buildah.js';
import { makeBox } from '../support/containers.js';
import { run, scratch, shell } from '../support/ground.js';
import { storeCli } from '../support/images.js';
import { CASES } from './cases.js';

/** Names, kinds, modes, owners, links, contents; what a program's clock says is left out. */
function describe(path: string): string {
  return shell(
    `find . -mindepth 1 \\( -type d -printf '%P|%y|%m|%U:%G\\n' \\) -o -printf '%P|%y|%m|%U:%G|%l|%n\\n' | LC_ALL=C sort
     find . -type f -exec sha256sum {} + | LC_ALL=C sort`,
    path,
  );
}

interface Config {
  [name: string]: unknown;
}

/** What counts of a configuration; what is empty is as if it were not there. */
function essence(config: Config): Config {
  const names = [
    'Env',
    'Cmd',
    'Entrypoint',
    'User',
    'WorkingDir',
    'Labels',
    'ExposedPorts',
    'Volumes',
    'StopSignal',
    'Healthcheck',
    'Shell',
    'OnBuild',
  ];
  const isEmpty = (value: unknown): boolean =>
    value === undefined ||
    value === null ||
    value === '' ||
    (typeof value === 'object' && Object.keys(value).length === 0);
  return Object.fromEntries(
    names.filter((name) => !isEmpty(config[name])).map((name) => [name, config[name]]),
  );
}

t.test(
  'an image has the files and the configuration that Buildah gives it',
  { timeout: 900_000 },
  async (t) => {
    const base = scratch(t);
    const cli = storeCli(t, base);
    const buildah = new BuildahStore(t, base);
    makeBox(join(base, 'box'));
    // What runners make where it is missing is another test's affair.
    shell('mkdir dev proc run sys; touch etc/hosts etc/hostname etc/resolv.conf', join(base, 'box'));
    await cli.ok('import', join(base, 'box'), 'box');
    await cli.ok('tag', 'box', 'localhost/box');
    await cli.ok('save', '-o', join(base, 'box.tar'), 'localhost/box');
    buildah.pull(join(base, 'box.tar'));

    for (const [index, { title, files = {}, prepare, dockerfile, args = [] }] of CASES.entries()) {
      await t.test(title, async (t) => {
        const context = join(base, `case-${index}`);
        for (const [name, content] of Object.entries({ ...files, Dockerfile: dockerfile })) {
          mkdirSync(dirname(join(context, name)), { recursive: true });
          writeFileSync(join(context, name), content);
        }
        if (prepare !== undefined) shell(prepare, context);
        const name = `case:${index}`;
        const theirs = buildah.build(context, name, ...args);
        await cli.ok('build', '-q', '-t', name, ...args, context);
        const tree = join(base, `tree-${index}`);
        mkdirSync(tree);
        await cli.ok('build', '-q', ...args, '-o', `type=tar,dest=${tree}.tar`, context);
        run('tar', '-xpf', `${tree}.tar`, '-C', tree, '--numeric-owner');
        t.equal(describe(tree), buildah.withMount(theirs, describe), 'the same files');
        const [{ Config: ours }] = JSON.parse(await cli.ok('inspect', name)) as [{ Config: Config }];
        t.strictSame(essence(ours), essence(buildah.config(name)), 'the same configuration');
        shell(`rm -rf ${tree} ${tree}.tar ${context}`);
      });
    }
  },
);
