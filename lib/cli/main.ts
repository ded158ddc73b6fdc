// SPDX-License-Identifier: MIT
/**
 * The command line. Exit codes: 0 it worked; 1 it did not, and the message says
 * why; 2 the command was called wrongly.
 *
 * Loading yargs takes as long as starting Node, so a mount's server is started
 * before it, and the two load side by side.
 */
import type { Command } from './commands/command.js';
import { type Call, findCall, ownWords, serverOf } from './commands/command-line.js';
import { readPlainWords } from './commands/plain-words.js';
import { commands } from './commands/table.js';
import { reportFailure } from './failure.js';
import { carryOut } from './implementations.js';
import { concludeOutputs, outputFailure, watchOutputs } from './words/outputs.js';

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

/** The forms in which other programs call this one; answers false for any other line. */
async function runDropIn(argv: readonly string[]): Promise<boolean> {
  const forms = await import('./drop-in.js');
  const dropIn = forms.parseDropIn(argv);
  if (dropIn === undefined) return false;
  background = await import('../mount/background.js');
  if (!dropIn.foreground) background.prepareServer(dropIn.device);
  await discardStarted();
  await forms.runDropIn(dropIn);
  return true;
}

/** What a command needs before it is carried out. */
async function prepare(argv: readonly string[], call: Call, command: Command): Promise<void> {
  if (command.inUserNamespace === true && process.getuid!() !== 0 && !ownWords(call).includes('--help'))
    (await import('./user-namespace.js')).enterUserNamespace(argv, call);
  const server = serverOf(call);
  if (server === 'mount') {
    background = await import('../mount/background.js');
    background.prepareServer();
  }
  if (server === 'container') {
    client = await import('../container/server/starting.js');
    client.prepareContainerServer();
  }
}

async function main(argv: readonly string[], found: Call | undefined): Promise<void> {
  if (found === undefined && (await runDropIn(argv))) return;
  // Options before a command's name, or without one, are a mount's.
  const isMount = found === undefined && argv.some((word) => word.startsWith('-o'));
  const call = isMount ? findCall(['mount', ...argv]) : found;
  const name = call?.name;
  if (name !== undefined) await prepare(argv, call!, commands[name]);
  await discardStarted();
  const args = name === undefined ? undefined : readPlainWords(commands[name], call!.words);
  if (args !== undefined) return carryOut(name!, args);
  const { runProgram } = await import('./program.js');
  await runProgram(argv, call);
}

async function run(argv: readonly string[]): Promise<void> {
  const call = findCall(argv);
  try {
    await watchOutputs(() => main(argv, call));
  } catch (failure) {
    const command: Command | undefined = call?.name === undefined ? undefined : commands[call.name];
    if (outputFailure() === undefined)
      process.exitCode = reportFailure(failure, argv.includes('--debug'), command?.runsCommand);
  } finally {
    await background?.discardPreparedServer();
    await client?.discardPreparedContainerServer();
    concludeOutputs();
  }
}

void run(process.argv.slice(2));
