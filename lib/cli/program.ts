// SPDX-License-Identifier: MIT
/** The commands, put together with yargs. */
import yargs, { type CommandModule } from 'yargs';
import { UsageError } from '../base/errors.js';
import { programVersion } from '../base/version.js';
import { buildCommand, buildFlags } from './build/commands.js';
import { containerCommands, containerFlags, containerGroup, separateWords } from './container/commands.js';
import { group, PARSING, refuseUnknownCommand } from './define.js';
import { refuseUnknownFlags } from './flags.js';
import { imageCommands, imageFlags } from './image/commands.js';
import { diffCommand, explainCommand, fsckCommand } from './inspecting.js';
import { mountCommand } from './mount/mount.js';
import { mountsCommand } from './mount/mounts.js';
import { unmountCommand } from './mount/unmount.js';
import { upgradeCommand } from './mount/upgrade.js';

/** Commands that take containers as they take images and mounts. */
const aboutBoth = [
  ...imageCommands.filter(({ command }) => /^(commit|export|inspect) /.test(String(command))),
  diffCommand as CommandModule,
];

/** What yargs is given for a `-`, which it would hand over as an empty text; no word can hold its NUL. */
const DASH = '\0-';

/** Words of ours; those behind `--` yargs leaves alone. */
function hideDashes(argv: readonly string[]): string[] {
  const end = argv.indexOf('--');
  return argv.map((word, at) => (word === '-' && (end < 0 || at < end) ? DASH : word));
}

function showDashes(args: Record<string, unknown>): void {
  for (const [name, value] of Object.entries(args)) {
    if (value === DASH) args[name] = '-';
    else if (Array.isArray(value)) args[name] = value.map((one) => (one === DASH ? '-' : one));
  }
}

/** Runs one command line. Throws UsageError, OverlayError, or what should not happen. */
export async function runProgram(words: readonly string[]): Promise<void> {
  const argv = separateWords(words);
  const commands = [
    mountCommand,
    unmountCommand,
    upgradeCommand,
    mountsCommand,
    explainCommand,
    diffCommand,
    fsckCommand,
    ...containerCommands,
    buildCommand(argv),
    group('container', 'Commands about containers', [...containerGroup, ...aboutBoth]),
    ...imageCommands,
  ] as CommandModule[];
  refuseUnknownCommand(argv, commands);
  refuseUnknownFlags(argv, { ...imageFlags, ...containerFlags, ...buildFlags(argv) });
  await yargs(hideDashes(argv))
    .scriptName('tsoverlay')
    .usage(
      '$0 COMMAND [OPTIONS]\n\nA union filesystem: read-only layers under one writable layer, the images that they come in, and containers.',
    )
    .command(commands)
    .completion('completion', 'Print a script that completes commands and options in your shell')
    .option('debug', { type: 'boolean', global: true, describe: 'Show where an error comes from' })
    .demandCommand(1, 'no command is given; see `tsoverlay --help`')
    .strict()
    .version(programVersion())
    .alias('help', 'h')
    .wrap(Math.min(100, process.stdout.columns ?? 100))
    .epilogue('Exit codes: 0 it worked, 1 it did not, 2 the command was called wrongly.')
    .parserConfiguration(PARSING)
    .middleware(showDashes)
    .exitProcess(false)
    .fail((message, failure) => {
      if (failure !== undefined && failure !== null) throw failure;
      const isIncomplete = /^Not enough non-option arguments/.test(message);
      throw isIncomplete
        ? new UsageError('an argument is missing', `see \`tsoverlay ${argv[0]} --help\``)
        : new UsageError(message.replaceAll(DASH, '-'));
    })
    .parseAsync();
}
