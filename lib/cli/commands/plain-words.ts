// SPDX-License-Identifier: MIT
/**
 * Command lines in which nothing is unusual. yargs takes 10 ms for one; it has all
 * those that are wrong, ask for help, or are written in a way that is not covered
 * here, so that there is one voice for people.
 */
import { type ParseArgsConfig, parseArgs } from 'node:util';
import { type Argument, argumentsOf, type Command, type Option } from './command.js';

type Values = Record<string, unknown>;

/** The options as util.parseArgs takes them. */
function parsedOptions(options: Command['options']): NonNullable<ParseArgsConfig['options']> {
  return Object.fromEntries(
    Object.entries(options).map(([name, { type, alias }]) => [
      name,
      { type: type === 'boolean' ? type : 'string', ...(alias === undefined ? {} : { short: alias }) },
    ]),
  );
}

/** One of util.parseArgs. */
interface Token {
  name: string;
  rawName: string;
  value: string | undefined;
  inlineValue: boolean | undefined;
  index: number;
}

/** What a value means; undefined where yargs is to judge. */
function meaningOf({ type, choices }: Option, text: string): string | number | undefined {
  if (choices !== undefined && !choices.includes(text)) return undefined;
  if (type !== 'number') return text;
  return /^\d+(\.\d+)?$/.test(text) ? Number(text) : undefined;
}

class PlainReader {
  readonly values: Values = {};
  readonly #given = new Set<string>();

  constructor(
    private readonly options: Command['options'],
    private readonly words: readonly string[],
  ) {
    for (const [name, { default: usual }] of Object.entries(options))
      this.values[name] = Array.isArray(usual) ? [...usual] : usual;
  }

  /** Takes what an option says; answers false where yargs is to judge. */
  take({ name, rawName, value, inlineValue, index }: Token): boolean {
    const option = Object.hasOwn(this.options, name) ? this.options[name] : undefined;
    // Of `-px` and `-p=x`, and of `--flag true`, yargs has a view of its own.
    const isGlued = inlineValue === true && !rawName.startsWith('--');
    if (option === undefined || isGlued || /^(true|false)$/.test(this.words[index + 1])) return false;
    if (option.type === 'boolean') {
      this.values[name] = true;
      return value === undefined;
    }
    if (!value || (value.startsWith('-') && inlineValue !== true)) return false;
    return this.#set(name, option, meaningOf(option, value));
  }

  #set(name: string, option: Option, meaning: string | number | undefined): boolean {
    if (option.array === true) (this.values[name] as unknown[]).push(meaning);
    // What is given twice is for yargs to judge.
    else if (this.#given.has(name)) return false;
    else this.values[name] = meaning;
    this.#given.add(name);
    return meaning !== undefined;
  }

  /** Gives arguments their names; answers false where there are too few, or too many. */
  place(arguments_: readonly Argument[], words: string[]): boolean {
    for (const { name, isRequired, isList } of arguments_) {
      if (isRequired && words.length === 0) return false;
      this.values[name] = isList ? words.splice(0) : words.shift();
    }
    return words.length === 0;
  }
}

/** The arguments of a command line without the command's name; undefined where it is not plain. */
export function readPlainWords(command: Command, words: readonly string[]): Values | undefined {
  const { tokens } = parseArgs({
    args: [...words],
    options: parsedOptions(command.options),
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  const reader = new PlainReader(command.options, words);
  const end = words.indexOf('--');
  const positionals: string[] = [];
  for (const token of tokens) {
    if (token.kind === 'option-terminator') break;
    if (token.kind === 'option' && !reader.take(token as Token)) return undefined;
    if (token.kind === 'positional') positionals.push(token.value);
  }
  // `-` and an empty word have their ways with yargs.
  if (positionals.some((word) => word === '' || word === '-')) return undefined;
  if (end >= 0 && end + 1 < words.length) reader.values['--'] = words.slice(end + 1);
  return reader.place(argumentsOf(command), positionals) ? reader.values : undefined;
}
