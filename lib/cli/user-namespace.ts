// SPDX-License-Identifier: MIT
/**
 * Images and containers of an ordinary user: their files belong to many users, so the
 * commands about them run as root of a user namespace, with the ranges of ids that
 * /etc/subuid and /etc/subgid give (newuidmap(1), user_namespaces(7)). All containers
 * of a user share one, which lives as long as any of them: a command enters that of
 * a running container, or a new one, by becoming unshare(1) or nsenter(1).
 */
import { readdirSync, readFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { OverlayError } from '../base/errors.js';
import type { ContainerState } from '../container/state/config.js';
import { defaultRoot } from '../image/store/store.js';
import { prepareRuntimeDirectory } from '../supervise/runtime-directory.js';
import { isAlive } from '../sys/proc.js';
import { becomeProgram, closeOthersOnExec, resetSignals } from '../sys/programs.js';
import { type Call, ownWords } from './commands/command-line.js';

function hasRanges(file: string): boolean {
  const { username, uid } = userInfo();
  try {
    const lines = readFileSync(file, 'utf8').split('\n');
    return lines.some((line) => line.startsWith(`${username}:`) || line.startsWith(`${uid}:`));
  } catch (failure) {
    if ((failure as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw failure;
  }
}

/** The server of a container that runs: all of them are in the user's namespace. */
function runningServer(root: string): number | undefined {
  let ids: string[];
  try {
    ids = readdirSync(join(root, 'containers'));
  } catch (failure) {
    if ((failure as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw failure;
  }
  for (const id of ids) {
    try {
      const state = JSON.parse(readFileSync(join(root, 'containers', id, 'state.json'), 'utf8'));
      const { serverPid: pid, serverStart: start } = state as ContainerState;
      if (isAlive({ pid, start })) return pid;
    } catch (failure) {
      // One that is just being removed, or was damaged: that is for the command to say.
      if (!(failure instanceof SyntaxError) && (failure as NodeJS.ErrnoException).code !== 'ENOENT')
        throw failure;
    }
  }
  return undefined;
}

/** The store that a command line names. */
function rootOf(call: Call): string {
  const { root } = parseArgs({
    args: [...ownWords(call)],
    options: { root: { type: 'string' } },
    strict: false,
  }).values;
  return typeof root === 'string' ? root : defaultRoot();
}

/** Runs the same command line again in the user's namespace; comes back only by throwing an OverlayError. */
export function enterUserNamespace(argv: readonly string[], call: Call): never {
  const server = runningServer(rootOf(call));
  const ranges = hasRanges('/etc/subuid') && hasRanges('/etc/subgid') ? ['--map-auto'] : [];
  const own = ['unshare', '--mount', '--propagation', 'slave'];
  const args =
    server === undefined
      ? [...own, '--user', '--map-root-user', ...ranges]
      : ['nsenter', `--user=/proc/${server}/ns/user`, ...own];
  const env = {
    ...process.env,
    // What root has elsewhere is the user's here.
    TSOVERLAY_ROOT: defaultRoot(),
    TSOVERLAY_RUNTIME_DIR: prepareRuntimeDirectory(),
  };
  const command = [...args, '--', process.execPath, ...process.execArgv, process.argv[1], ...argv];
  closeOthersOnExec();
  resetSignals();
  const status = becomeProgram('/usr/bin/env', ['env', ...command], toStrings(env));
  throw new OverlayError({
    operation: 'make a user namespace',
    path: args[0],
    errno: status,
    remedy: 'install util-linux',
  });
}

function toStrings(env: NodeJS.ProcessEnv): string[] {
  return Object.entries(env).map(([key, value]) => `${key}=${value ?? ''}`);
}
