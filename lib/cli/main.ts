// SPDX-License-Identifier: MIT
/**
 * The command line. Exit codes: 0 it worked; 1 it did not, and the message says
 * why; 2 the command was called wrongly.
 *
 * Loading yargs takes as long as starting Node, so a mount's server is started
 * before it, and the two load side by side.
 */
import { discardPreparedServer, prepareServer } from '../mount/background.js';
import { reportFailure } from './failure.js';

const COMMANDS = new Set(['mount', 'unmount', 'umount', 'mounts', 'explain', 'diff', 'completion']);

/** `tsoverlay -o … TARGET`, as mount helpers call it, means `tsoverlay mount -o … TARGET`. */
function withCommand(argv: string[]): string[] {
  const isBare = argv.some((word) => word === '-o' || word.startsWith('-olower')) && !COMMANDS.has(argv[0]);
  return isBare ? ['mount', ...argv] : argv;
}

/** Whether the command will want a server; a wrong guess costs a process that is ended at once. */
function wantsServer(words: readonly string[]): boolean {
  const stays = ['-f', '--foreground', '-h', '--help', '--version'];
  return words[0] === 'mount' && !words.some((word) => stays.includes(word));
}

const argv = withCommand(process.argv.slice(2));

try {
  if (wantsServer(argv)) prepareServer();
  const { runProgram } = await import('./program.js');
  await runProgram(argv);
} catch (failure) {
  process.exitCode = reportFailure(failure, argv.includes('--debug'));
} finally {
  discardPreparedServer();
}
