// SPDX-License-Identifier: MIT
/** The command line with a store of its own, and images made by other tools. */
import { spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { Test } from 'tap';
import { run, scratch, shell } from './ground.js';

const program = join(process.cwd(), 'bin/tsoverlay');

export interface Outcome {
  status: number | null;
  stdout: string;
  stderr: string;
}

export interface Cli {
  base: string;
  root: string;
  /** Runs a command; the environment is the test's own. */
  run(...args: string[]): Promise<Outcome>;
  /** Runs one that must work, and gives what it printed. */
  ok(...args: string[]): Promise<string>;
  /** Variables for what the command finds: configuration, passwords. */
  environment: Record<string, string>;
}

/** A store in a scratch directory, with no configuration and no passwords of this machine. `command` is the program and what runs it. */
export function storeCli(
  t: Test,
  base = scratch(t),
  name = 'store',
  command: readonly [string, ...string[]] = [program],
): Cli {
  const root = join(base, name);
  const environment: Record<string, string> = {
    TSOVERLAY_ROOT: root,
    TSOVERLAY_CONFIG: join(base, 'config.json'),
    DOCKER_CONFIG: join(base, 'docker'),
    HOME: base,
  };
  writeFileSync(environment.TSOVERLAY_CONFIG, '{}');
  const call = async (...args: string[]): Promise<Outcome> => {
    // Not synchronously: the registry that is asked may be this process.
    const child = spawn(command[0], [...command.slice(1), ...args], {
      env: { ...process.env, ...environment },
      cwd: base,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const [stdout, stderr, status] = await Promise.all([
      text(child.stdout),
      text(child.stderr),
      new Promise<number | null>((resolve) => child.on('close', resolve)),
    ]);
    return { status, stdout, stderr };
  };
  return {
    base,
    root,
    environment,
    run: call,
    async ok(...args) {
      const { status, stdout, stderr } = await call(...args);
      if (status !== 0) throw new Error(`${args.join(' ')}: exit ${status}: ${stderr}`);
      return stdout;
    },
  };
}

/** An OCI layout made by umoci: two layers, the second with whiteouts, attributes and hard links. */
export function makeLayout(base: string, name = 'layout'): string {
  const layout = join(base, name);
  const bundle = join(base, `${name}-bundle`);
  run('umoci', 'init', '--layout', layout);
  run('umoci', 'new', '--image', `${layout}:latest`);
  mkdirSync(bundle);
  run('umoci', 'unpack', '--image', `${layout}:latest`, join(bundle, '1'));
  shell(
    `mkdir -p etc bin gone opaque; echo one > etc/motd; echo old > gone/f; echo below > opaque/below; head -c 300000 /dev/urandom > big
     echo s > bin/suid; chmod 4755 bin/suid; ln bin/suid bin/hard; ln -s ../etc/motd bin/link; echo c > bin/cap; setcap cap_net_raw+ep bin/cap`,
    join(bundle, '1/rootfs'),
  );
  run('umoci', 'repack', '--image', `${layout}:latest`, join(bundle, '1'));
  run('umoci', 'unpack', '--image', `${layout}:latest`, join(bundle, '2'));
  shell(
    'rm -r gone; rm opaque/below; echo two >> etc/motd; touch etc; echo new > new; chown 5:6 new; touch -d 2001-02-03 new',
    join(bundle, '2/rootfs'),
  );
  run('umoci', 'repack', '--image', `${layout}:latest`, join(bundle, '2'));
  run(
    'umoci',
    'config',
    '--image',
    `${layout}:latest`,
    '--config.cmd',
    'sh',
    '--config.env',
    'A=b',
    '--config.label',
    'l=1',
  );
  return layout;
}

/** A tree as it can be compared: names, kinds, owners, modes, times, links, contents, attributes. */
export function describeTree(path: string): string {
  return shell(
    `find . -mindepth 1 -printf '%P|%y|%m|%U:%G|%l|%T@\\n' | LC_ALL=C sort; find . -type f -exec sha256sum {} + | LC_ALL=C sort
     getfattr -R -h -d -m '^(user|security)' -e hex . | LC_ALL=C sort`,
    path,
  );
}
