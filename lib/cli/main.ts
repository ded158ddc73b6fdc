// SPDX-License-Identifier: MIT
/**
 * The command line. Exit codes: 0 it worked; 1 it did not, and the message says
 * why; 2 the command was called wrongly.
 *
 * Loading yargs takes as long as starting Node, so a mount's server is started
 * before it, and the two load side by side.
 */
import { discardPreparedServer, prepareServer } from '../mount/background.js';
import { ServerProcess } from '../mount/server-process.js';
import { parseDropIn, runDropIn } from './drop-in.js';
import { reportFailure } from './failure.js';

/** Every command: their options may look like those of the forms without one. */
const COMMANDS = new Set(
  `mount unmount umount mounts list explain diff fsck completion
  pull push search images inspect history tag rmi save load import export commit layers bundle image system
  run create start stop kill restart pause unpause wait rename rm exec attach logs ps port top stats cp container build`.split(
    /\s+/,
  ),
);

/** Their own failures are told from the program's by Docker's exit codes: 125, 126, 127. */
const CONTAINER_RUNNERS = new Set(['run', 'create', 'exec']);

/** Whether the command will want a server; a wrong guess costs a process that is ended at once. */
function wantsServer(words: readonly string[]): boolean {
  const stays = ['-f', '--foreground', '-h', '--help', '--version'];
  return words[0] === 'mount' && !words.some((word) => stays.includes(word));
}

/** The same of `run` and `start`. */
function startsContainer(words: readonly string[]): boolean {
  const [command] = words[0] === 'container' ? words.slice(1) : words;
  return (command === 'run' || command === 'start') && !words.includes('--help');
}

/** Loaded for commands that start a container. */
let client: typeof import('../container/server/client.js') | undefined;

async function main(argv: readonly string[]): Promise<void> {
  const dropIn = COMMANDS.has(argv[0]) ? undefined : parseDropIn(argv);
  if (dropIn !== undefined) {
    if (!dropIn.foreground) prepareServer(dropIn.device);
    await ServerProcess.started()?.discard();
    await runDropIn(dropIn);
    return;
  }
  // Options before the command's name, or without one, are a mount's.
  const words =
    argv.some((word) => word.startsWith('-o')) && !COMMANDS.has(argv[0]) ? ['mount', ...argv] : argv;
  if (process.getuid!() !== 0) {
    const { needsUserNamespace, enterUserNamespace } = await import('./user-namespace.js');
    if (needsUserNamespace(words)) enterUserNamespace(argv);
  }
  if (wantsServer(words)) prepareServer();
  if (startsContainer(words)) {
    client = await import('../container/server/client.js');
    client.prepareContainerServer();
  }
  // bin/tsoverlay knows less of command lines.
  await ServerProcess.started()?.discard();
  const { runProgram } = await import('./program.js');
  await runProgram(words);
}

const argv = process.argv.slice(2);

try {
  await main(argv);
} catch (failure) {
  const words = argv[0] === 'container' ? argv.slice(1) : argv;
  process.exitCode = reportFailure(failure, argv.includes('--debug'), CONTAINER_RUNNERS.has(words[0]));
} finally {
  await discardPreparedServer();
  await client?.discardPreparedContainerServer();
}
