// SPDX-License-Identifier: MIT
/**
 * The command line. Exit codes: 0 it worked; 1 it did not, and the message says
 * why; 2 the command was called wrongly.
 *
 * Loading yargs takes as long as starting Node, so a mount's server is started
 * before it, and the two load side by side.
 */
import { reportFailure } from './failure.js';
import { concludeOutputs, outputFailure, watchOutputs } from './words/outputs.js';

/** Every command: their options may look like those of the forms without one. */
const COMMANDS = new Set(
  `mount unmount umount upgrade mounts list explain diff fsck completion
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

/** Loaded for commands that mount. */
let background: typeof import('../mount/background.js') | undefined;
/** Loaded for commands that start a container. */
let client: typeof import('../container/server/starting.js') | undefined;

/** A server that bin/tsoverlay has started for nothing: it knows less of command lines. */
async function discardStarted(): Promise<void> {
  if (process.env.TSOVERLAY_STARTED === undefined) return;
  const { ServerProcess } = await import('../supervise/spawn.js');
  await ServerProcess.started()?.discard();
}

async function main(argv: readonly string[]): Promise<void> {
  const forms = COMMANDS.has(argv[0]) ? undefined : await import('./drop-in.js');
  const dropIn = forms?.parseDropIn(argv);
  if (forms !== undefined && dropIn !== undefined) {
    background = await import('../mount/background.js');
    if (!dropIn.foreground) background.prepareServer(dropIn.device);
    await discardStarted();
    await forms.runDropIn(dropIn);
    return;
  }
  // Options before the command's name, or without one, are a mount's.
  const words =
    argv.some((word) => word.startsWith('-o')) && !COMMANDS.has(argv[0]) ? ['mount', ...argv] : argv;
  if (process.getuid!() !== 0) {
    const { needsUserNamespace, enterUserNamespace } = await import('./user-namespace.js');
    if (needsUserNamespace(words)) enterUserNamespace(argv);
  }
  if (wantsServer(words)) {
    background = await import('../mount/background.js');
    background.prepareServer();
  }
  if (startsContainer(words)) {
    client = await import('../container/server/starting.js');
    client.prepareContainerServer();
  }
  await discardStarted();
  const { runPlainCommand } = await import('./plain-commands.js');
  if (await runPlainCommand(words)) return;
  const { runProgram } = await import('./program.js');
  await runProgram(words);
}

async function run(argv: readonly string[]): Promise<void> {
  try {
    await watchOutputs(() => main(argv));
  } catch (failure) {
    const words = argv[0] === 'container' ? argv.slice(1) : argv;
    if (outputFailure() === undefined)
      process.exitCode = reportFailure(failure, argv.includes('--debug'), CONTAINER_RUNNERS.has(words[0]));
  } finally {
    await background?.discardPreparedServer();
    await client?.discardPreparedContainerServer();
    concludeOutputs();
  }
}

/** `--debug` may come before the command, as global options of other programs do. */
function commandFirst(argv: readonly string[]): readonly string[] {
  const [first, command, ...rest] = argv;
  return first === '--debug' && COMMANDS.has(command) ? [command, first, ...rest] : argv;
}

void run(commandFirst(process.argv.slice(2)));
