// SPDX-License-Identifier: MIT
/**
 * Command lines in which nothing is unusual, read by a command's own wording. yargs
 * takes 10 ms for one; it has all those that are wrong, ask for help, or are written
 * in a way that is not covered here, so that there is one voice for people.
 */
import type { Options } from 'yargs';
import type { Wording } from './wording.js';

export type Arguments = Record<string, unknown>;

interface Positionals {
  names: { name: string; required: boolean; many: boolean }[];
}

function positionalsOf(command: string): Positionals {
  const names = [...command.matchAll(/([<[])(\w+)(\.\.)?[>\]]/g)].map(([, bracket, name, many]) => ({
    name,
    required: bracket === '<',
    many: many !== undefined,
  }));
  return { names };
}

/** What only yargs knows how to treat. */
function isPlain(option: Options): boolean {
  const known = new Set(['type', 'nargs', 'describe', 'alias', 'array', 'default']);
  return Object.keys(option).every((key) => known.has(key));
}

class PlainReader {
  readonly args: Arguments = {};
  readonly #long = new Map<string, [name: string, option: Options]>();

  constructor(private readonly options: Record<string, Options>) {
    for (const [name, option] of Object.entries(options)) {
      this.#long.set(name, [name, option]);
      if (typeof option.alias === 'string') this.#long.set(option.alias, [name, option]);
      const usual = Array.isArray(option.default) ? [...option.default] : option.default;
      this.args[name] = usual;
    }
  }

  /** Answers how many words were used, or undefined for what is not plain. */
  read(word: string, next: string | undefined): 1 | 2 | undefined {
    // yargs would take it for the value of a flag.
    if (next === 'true' || next === 'false') return undefined;
    if (word.startsWith('--')) {
      const equals = word.indexOf('=');
      const name = word.slice(2, equals < 0 ? undefined : equals);
      // A single letter is an option by one dash only.
      return name.length < 2
        ? undefined
        : this.#take(name, equals < 0 ? undefined : word.slice(equals + 1), next);
    }
    const letters = word.slice(1);
    if (letters.length === 1) return this.#take(letters, undefined, next);
    // `-it`: flags together.
    const all = [...letters].map((letter) => this.#long.get(letter));
    if (!all.every((found) => found?.[1].type === 'boolean')) return undefined;
    for (const found of all) this.args[found![0]] = true;
    return 1;
  }

  #take(key: string, given: string | undefined, next: string | undefined): 1 | 2 | undefined {
    const found = this.#long.get(key);
    if (found === undefined || (key.length > 1 && this.options[key] === undefined)) return undefined;
    const [name, option] = found;
    if (option.type === 'boolean') {
      if (given !== undefined) return undefined;
      this.args[name] = true;
      return 1;
    }
    const value = given ?? next;
    if (value === undefined || value === '' || (given === undefined && value.startsWith('-')))
      return undefined;
    return this.#set(name, option, value) ? (given === undefined ? 2 : 1) : undefined;
  }

  readonly #given = new Set<string>();

  #set(name: string, option: Options, value: string): boolean {
    if (option.array === true) {
      (this.args[name] as string[]).push(value);
      return true;
    }
    // Twice the same is for yargs to judge.
    if (this.#given.has(name)) return false;
    this.#given.add(name);
    if (option.type !== 'number') {
      this.args[name] = value;
      return true;
    }
    this.args[name] = Number(value);
    return /^\d+(\.\d+)?$/.test(value);
  }
}

/** The arguments of a command line without the command's name; undefined where it is not plain. */
export function readPlainWords(
  { command, options }: Wording,
  words: readonly string[],
): Arguments | undefined {
  if (!Object.values(options).every(isPlain)) return undefined;
  const reader = new PlainReader(options);
  const positional: string[] = [];
  for (let at = 0; at < words.length; ) {
    const word = words[at];
    if (word === '--') {
      if (at + 1 < words.length) reader.args['--'] = words.slice(at + 1);
      break;
    }
    // `-` and an empty word have their ways with yargs.
    if (word === '' || word === '-') return undefined;
    if (!word.startsWith('-')) {
      positional.push(word);
      at++;
      continue;
    }
    const used = reader.read(word, words[at + 1]);
    if (used === undefined) return undefined;
    at += used;
  }
  return place(positionalsOf(command), positional, reader.args);
}

function place({ names }: Positionals, words: readonly string[], args: Arguments): Arguments | undefined {
  const rest = [...words];
  for (const { name, required, many } of names) {
    if (many) args[name] = rest.splice(0);
    else args[name] = rest.shift();
    const isMissing = many ? (args[name] as string[]).length === 0 : args[name] === undefined;
    if (required && isMissing) return undefined;
  }
  return rest.length === 0 ? args : undefined;
}
