// SPDX-License-Identifier: MIT
/** How a command is said: plain data, from which yargs, the quick reader, `--help` and the arguments' types follow. */

export interface Option {
  readonly type: 'string' | 'boolean' | 'number';
  readonly describe: string;
  /** One letter. */
  readonly alias?: string | undefined;
  readonly default?: string | boolean | number | readonly string[];
  /** May be given again and again. */
  readonly array?: true;
  readonly choices?: readonly string[];
}

export interface Command {
  /** What follows its name and options: `<source> [other]`, `<names..>`. */
  readonly args?: string;
  readonly describe: string;
  /** With `root` among them it works on a store. */
  readonly options: Readonly<Record<string, Option>>;
  /** What its arguments are, where their names do not say it. */
  readonly positionals?: Readonly<Record<string, string>>;
  readonly examples?: readonly (readonly [line: string, what: string])[];
  readonly aliases?: readonly string[];
  /** Of every day: `--help` shows it first. */
  readonly isCommon?: true;
  /** It touches files of several owners: an ordinary user runs it in a user namespace. */
  readonly inUserNamespace?: true;
  /** The server that it starts, which is begun before anything else is loaded. */
  readonly starts?: 'mount' | 'container';
  /**
   * The words after its options are a command in a container: none of them is an option of ours, and exit
   * codes of its own failures are Docker's 125, 126 and 127.
   */
  readonly runsCommand?: true;
}

/** An option with a value. */
export const text = (describe: string, alias?: string) => ({ type: 'string', describe, alias }) as const;
/** Off unless given. */
export const flag = (describe: string, alias?: string) =>
  ({ type: 'boolean', default: false, describe, alias }) as const;
/** On unless it is taken away with `=false`. */
export const on = (describe: string, alias?: string) =>
  ({ type: 'boolean', default: true, describe, alias }) as const;
/** May be given again and again. */
export const several = (describe: string, alias?: string) =>
  ({ type: 'string', array: true, default: [], describe, alias }) as const;

export const ROOT = { root: text('The store; default TSOVERLAY_ROOT or /var/lib/tsoverlay') };
export const PLATFORM = { platform: text('OS/ARCHITECTURE[/VARIANT]; default this machine') };
export const JSON_OUT = { json: flag('Print it as JSON') };

type Type<O extends Option> = O extends { choices: readonly (infer Choice)[] }
  ? Choice
  : { string: string; boolean: boolean; number: number }[O['type']];

type Value<O extends Option> = O extends { array: true }
  ? string[]
  : Type<O> | (O extends { default: unknown } ? never : undefined);

type Positional<Word> = Word extends `${'<' | '['}${infer Name}..${'>' | ']'}`
  ? { [_ in Name]: string[] }
  : Word extends `<${infer Name}>`
    ? { [_ in Name]: string }
    : Word extends `[${infer Name}]`
      ? { [_ in Name]: string | undefined }
      : unknown;

type Positionals<Line> = Line extends `${infer Word} ${infer Rest}`
  ? Positional<Word> & Positionals<Rest>
  : Positional<Line>;

/** What a command is called with. */
export type ArgumentsOf<C extends Command> = Positionals<C extends { args: infer Line } ? Line : ''> & {
  [Name in keyof C['options']]: Value<C['options'][Name]>;
} & {
  /** The words behind it. */
  '--'?: string[];
  debug?: boolean;
};

export interface Argument {
  name: string;
  isRequired: boolean;
  isList: boolean;
}

/** What a command is called with beside its options. */
export function argumentsOf({ args = '' }: Command): Argument[] {
  return [...args.matchAll(/([<[])(\w+)(\.\.)?/g)].map(([, bracket, name, many]) => ({
    name,
    isRequired: bracket === '<',
    isList: many !== undefined,
  }));
}
