// SPDX-License-Identifier: MIT
/** How a command is put into words for yargs: its line, its options, and what is loaded when it is run. */
import type { Argv, CommandModule, Options } from 'yargs';
import { readPlainWords } from './plain-words.js';

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

export interface Wording {
  command: string;
  describe: string;
  options: Record<string, Options>;
  examples?: [command: string, what: string][];
}

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

/** A word that other commands stand behind. */
export function group(name: string, describe: string, commands: readonly CommandModule[]): CommandModule {
  return {
    command: name,
    describe,
    builder: (yargs: Argv) => {
      for (const command of commands) yargs.command(command);
      return yargs
        .demandCommand(1, `no command is given; see \`tsoverlay ${name} --help\``)
        .recommendCommands();
    },
    handler: () => undefined,
  };
}
