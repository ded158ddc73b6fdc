// SPDX-License-Identifier: MIT
/** Command lines that are not plain, read by yargs: those that are wrong, ask for help, or are written in another way. */
import yargs, { type Argv, type CommandModule, type Options } from 'yargs';
import { UsageError } from '../base/errors.js';
import { programVersion } from '../base/version.js';
import { argumentsOf, type Command, type Option } from './commands/command.js';
import {
  type Call,
  COMMON_OPTIONS,
  refuseUnknownCommand,
  refuseUnknownFlags,
  seeHelp,
} from './commands/command-line.js';
import { commands, type Group, groupNames, groups, type Member, topLevel } from './commands/table.js';
import { composeHelp, EPILOGUE } from './help.js';
import { carryOut } from './implementations.js';

/** How yargs takes words: as they are written. */
const PARSING = {
  'duplicate-arguments-array': true,
  'camel-case-expansion': false,
  'boolean-negation': false,
  'populate--': true,
  'parse-numbers': false,
  'parse-positional-numbers': false,
} as const;

function yargsOption(option: Option): Options {
  const { type, ...rest } = option;
  return {
    ...rest,
    ...(option.choices === undefined ? { type } : {}),
    ...(type === 'boolean' ? {} : { nargs: 1 }),
  } as Options;
}

/** A command as yargs is given it, by the words that it has here. */
export function commandModule(
  { names, command: name }: Member,
  run = (args: object) => carryOut(name, args),
): CommandModule {
  const command: Command = commands[name];
  const { args, describe, options, positionals = {}, examples = [] } = command;
  const [line, ...aliases] = names.map((one) => (args === undefined ? one : `${one} ${args}`));
  return {
    command: line,
    aliases,
    describe,
    builder(built: Argv) {
      for (const [long, option] of Object.entries(options)) built.option(long, yargsOption(option));
      // A name may look like a number, and `-` like an option.
      for (const { name: word, isList } of argumentsOf(command))
        built.positional(word, { type: 'string', array: isList, describe: positionals[word] ?? '' });
      for (const [example, what] of examples) built.example(`$0 ${example}`, what);
      return built;
    },
    handler: run,
  };
}

function groupModule(name: string, { describe, members }: Group): CommandModule {
  return {
    command: name,
    describe,
    builder: (built: Argv) =>
      built
        .command(members.map((member) => commandModule(member)))
        .demandCommand(1, `no command is given; ${seeHelp([name])}`),
    handler: () => undefined,
  };
}

/** yargs as it reads every command line. */
export function reader(words: readonly string[], modules: readonly CommandModule[]): Argv {
  return yargs(hideDashes(words))
    .scriptName('tsoverlay')
    .command([...modules])
    .option('debug', { ...COMMON_OPTIONS.debug, global: true })
    .demandCommand(1)
    .strict()
    .version(programVersion())
    .alias('help', 'h')
    .wrap(Math.min(100, process.stdout.columns ?? 100))
    .epilogue(EPILOGUE)
    .parserConfiguration(PARSING)
    .middleware(showDashes)
    .exitProcess(false);
}

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

/** The shell's completion asks with a line in which any command may stand. */
async function complete(argv: readonly string[]): Promise<void> {
  const modules = [
    ...topLevel.map((member) => commandModule(member)),
    ...groupNames.map((name) => groupModule(name, groups[name])),
  ];
  await reader(argv, modules).parseAsync();
}

/** A line without a command. */
function runNone(argv: readonly string[]): void {
  if (argv.includes('--help') || argv.includes('-h')) process.stdout.write(composeHelp());
  else if (argv.includes('--version')) process.stdout.write(`${programVersion()}\n`);
  else throw new UsageError('no command is given', seeHelp([]));
}

/** Runs one command line. Throws UsageError, OverlayError, or what should not happen. */
export async function runProgram(argv: readonly string[], call: Call | undefined): Promise<void> {
  if (argv[0] === '--get-yargs-completions') return complete(argv);
  refuseUnknownCommand(argv, call);
  refuseUnknownFlags(argv, call);
  if (call === undefined) return runNone(argv);
  const { path, name, words } = call;
  const member = path.length === 1 ? topLevel.find(({ command }) => command === name) : undefined;
  const module = member === undefined ? groupModule(path[0], groups[path[0]]) : commandModule(member);
  await reader([...path, ...words], [module])
    .fail((message, failure) => {
      if (failure !== undefined && failure !== null) throw failure;
      const isIncomplete = /^Not enough non-option arguments/.test(message);
      throw isIncomplete
        ? new UsageError('an argument is missing', seeHelp(path))
        : new UsageError(message.replaceAll(DASH, '-'));
    })
    .parseAsync();
}
