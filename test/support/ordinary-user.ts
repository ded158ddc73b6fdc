// SPDX-License-Identifier: MIT
/** An ordinary user with ranges of ids, who may open what distributions open to all. */
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import { makeBox, removeAtEnd } from './containers.js';
import { publicCheckout, run, scratch, shell, until } from './ground.js';
import { type Cli, storeCli } from './images.js';

const DEVICES = ['/dev/fuse', '/dev/net/tun'];

export const ORDINARY_USER = 'tsoverlay-test';

/** Makes the user until the test's end, with a home in `base`; one that a killed run left behind is replaced. */
export function makeOrdinaryUser(t: Test, base: string): void {
  const user = ORDINARY_USER;
  if (spawnSync('id', [user]).status === 0) run('userdel', '--force', user);
  run('useradd', '--create-home', '--home-dir', join(base, 'home'), user);
  t.teardown(async () => {
    try {
      // A server is gone a moment after it has said that all is over.
      await until(() => spawnSync('pgrep', ['-u', user]).status !== 0, `the processes of ${user} to end`);
    } finally {
      run('userdel', '--force', user);
    }
  });
  for (const device of DEVICES) {
    if (!existsSync(device)) continue;
    const { mode } = statSync(device);
    chmodSync(device, 0o666);
    t.teardown(() => chmodSync(device, mode & 0o7777));
  }
}

/** A command line that runs as such a user, with a store of theirs. */
export function ordinaryCli(t: Test): Cli {
  const base = scratch(t);
  const user = ORDINARY_USER;
  makeOrdinaryUser(t, base);
  const program = join(publicCheckout(t, base), 'bin/tsoverlay');
  const identity = [`--reuid=${user}`, `--regid=${user}`, '--init-groups'] as const;
  const cli = storeCli(t, base, 'home/store', ['setpriv', ...identity, program]);
  mkdirSync(join(base, 'home/run'));
  Object.assign(cli.environment, { HOME: join(base, 'home'), TSOVERLAY_RUNTIME_DIR: join(base, 'home/run') });
  run('chown', '-R', `${user}:${user}`, join(base, 'home'), join(base, 'config.json'));
  return cli;
}

/** The same with the image `box`; containers are removed at the end. */
export async function ordinaryBoxCli(t: Test): Promise<Cli> {
  const cli = ordinaryCli(t);
  makeBox(join(cli.base, 'box'));
  // As an archive, which keeps owners that the user does not have.
  shell('tar -C box --numeric-owner -cf box.tar .', cli.base);
  await cli.ok('import', 'box.tar', 'box');
  removeAtEnd(t, cli);
  return cli;
}
