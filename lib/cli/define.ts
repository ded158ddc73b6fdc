// SPDX-License-Identifier: MIT
/** How a command is put into words for yargs: its line, its options, and what is loaded when it is run. */
import type { Argv, CommandModule, Options } from 'yargs';
import { nearestNames, UsageError } from '../base/errors.js';
import { readPlainWords } from './commands/plain-words.js';
import type { Wording } from './commands/wording.js';

/** How yargs takes words: as they are written. */
export const PARSING = {
  'duplicate-arguments-array': true,
  'camel-case-expansion': false,
  'boolean-negation': false,
  'populate--': true,
  'parse-numbers': false,
  'parse-positional-numbers': false,
} as const;

/** An option with a value. */
export const text = (describe: string, alias?: string): Options => ({
  type: 'string',
  nargs: 1,
  describe,
  ...(alias === undefined ? {} : { alias }),
});
/** Off unless given. */
export const flag = (describe: string, alias?: string): Options => ({
  type: 'boolean',
  default: false,
  describe,
  ...(alias === undefined ? {} : { alias }),
});
/** May be given again and again. */
export const several = (describe: string, alias?: string): Options => ({
  ...text(describe, alias),
  array: true,
  default: [],
});

const wordings = new Map<CommandModule, Wording>();
const runners = new Map<CommandModule, (args: never) => Promise<void>>();

/** What yargs is given. `run` is called with the arguments. */
export function define<T>(
  { command, describe, options, examples }: Wording,
  run: (args: T) => Promise<void>,
): CommandModule {
  const module: CommandModule = {
    command,
    describe,
    builder: (yargs: Argv) => {
      let built = yargs.options(options);
      // A name may look like a number, and `-` like an option.
      for (const [, name, many] of command.matchAll(/[<[](\w+)(\.\.)?/g)) {
        const isList = many !== undefined;
        built = built.positional(name, { type: 'string', ...(isList ? { array: true, default: [] } : {}) });
      }
      for (const [line, what] of examples ?? []) built = built.example(`$0 ${line}`, what);
      return built;
    },
    handler: (args) => run(args as T),
  };
  wordings.set(module, { command, describe, options });
  runners.set(module, run as (args: never) => Promise<void>);
  return module;
}

/** The long options of a command that was defined here. */
export function optionsOf(command: CommandModule): readonly string[] {
  return Object.keys(wordings.get(command)?.options ?? {});
}

/** Carries out a command that was defined here, where its words are plain; answers false where they are for yargs. */
export async function runPlainly(command: CommandModule, words: readonly string[]): Promise<boolean> {
  const wording = wordings.get(command);
  const args = wording === undefined ? undefined : readPlainWords(wording, words);
  if (args === undefined) return false;
  await runners.get(command)!(args as never);
  return true;
}

function wordsOf({ command, aliases }: CommandModule): string[] {
  return [command, aliases].flat().flatMap((line) => (line === undefined ? [] : [line.split(' ')[0]]));
}

const groups = new Map<string, readonly string[]>();

/** The words that may stand behind a group's name, or at the beginning of a command line for those of no group. */
function commandWords(commands: readonly CommandModule[]): string[] {
  return commands.flatMap(wordsOf);
}

/**
 * Throws UsageError where a command line, or a group in it, begins with a word that is no command: yargs would
 * take it for an argument too many.
 */
export function refuseUnknownCommand(argv: readonly string[], commands: readonly CommandModule[]): void {
  const [first, second] = argv.filter((word) => word !== '--debug');
  if (first === undefined || first.startsWith('-') || first === '') return;
  const top = [...commandWords(commands), 'completion'];
  if (!top.includes(first)) throw unknownCommand(first, top, []);
  const inside = groups.get(first);
  if (inside === undefined || second === undefined || second.startsWith('-') || second === '') return;
  if (!inside.includes(second)) throw unknownCommand(second, inside, [first]);
}

const MOST_NEAR = 3;

function unknownCommand(word: string, known: readonly string[], before: readonly string[]): UsageError {
  const near = nearestNames(word, known).slice(0, MOST_NEAR);
  const remedy =
    near.length === 0
      ? `see \`${['tsoverlay', ...before, '--help'].join(' ')}\``
      : `did you mean ${near.join(' or ')}?`;
  const what = [...before, word].join(' ').replace(/[^\x20-\x7e]/g, '?');
  return new UsageError(`there is no command '${what}'`, remedy);
}

/** A word that other commands stand behind. */
export function group(name: string, describe: string, commands: readonly CommandModule[]): CommandModule {
  groups.set(name, commandWords(commands));
  return {
    command: name,
    describe,
    builder: (yargs: Argv) => {
      for (const command of commands) yargs.command(command);
      return yargs.demandCommand(1, `no command is given; see \`tsoverlay ${name} --help\``);
    },
    handler: () => undefined,
  };
}
