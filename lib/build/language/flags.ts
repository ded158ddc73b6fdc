// SPDX-License-Identifier: MIT
/** `--name=value` between an instruction's keyword and its words. */
import { nearestName } from '../../base/errors.js';
import { DockerfileError, type Place } from './failure.js';

export interface Flags {
  /** By name; each may come several times. */
  values: Map<string, string[]>;
  /** What follows them. */
  rest: string;
}

/** `yes` is true or false and may stand without a value; `one` may come once, `many` several times. */
export type FlagKind = 'yes' | 'one' | 'many';

export type KnownFlags = Readonly<Record<string, FlagKind>>;

/**
 * The words with `--` at the beginning of a line, without their quotes and escapes, and what
 * follows them (BuildKit's parser/split_command.go, extractBuilderFlags).
 */
export function splitFlags(text: string, escapeCharacter: string): { words: string[]; rest: string } {
  const words: string[] = [];
  let rest = text.trimStart();
  while (rest.startsWith('--')) {
    const { word, length } = flagWord(rest, escapeCharacter);
    rest = rest.slice(length).trimStart();
    if (word === '--') break;
    words.push(word);
  }
  return { words, rest };
}

function flagWord(text: string, escapeCharacter: string): { word: string; length: number } {
  let word = '';
  let quote = '';
  let at = 0;
  for (; at < text.length; at++) {
    const char = text[at];
    if (quote === '' && /\s/.test(char)) break;
    if (char === quote) quote = '';
    else if (quote === '' && (char === '"' || char === "'")) quote = char;
    else if (char === escapeCharacter) word += text[++at] ?? '';
    else word += char;
  }
  return { word, length: at };
}

/** Takes the flags from the beginning of a line. Throws a DockerfileError for one that is not known or has a wrong value. */
export function takeFlags(
  place: Place,
  keyword: string,
  { rest: text, escapeCharacter }: { rest: string; escapeCharacter: string },
  known: KnownFlags,
): Flags {
  const values = new Map<string, string[]>();
  const { words, rest } = splitFlags(text, escapeCharacter);
  for (const word of words) {
    const [, name, value] = /^--([^=]*)=?(.*)$/s.exec(word)!;
    if (!Object.hasOwn(known, name)) throw unknownFlag(place, keyword, name, Object.keys(known));
    const isGiven = word.includes('=');
    if (known[name] !== 'yes' && !isGiven)
      throw new DockerfileError(place, `--${name} has no value`, `write --${name}=VALUE`);
    if (known[name] !== 'many' && values.has(name))
      throw new DockerfileError(place, `--${name} is given twice`);
    values.set(name, [...(values.get(name) ?? []), isGiven ? value : 'true']);
  }
  return { values, rest };
}

function unknownFlag(place: Place, keyword: string, name: string, known: readonly string[]): DockerfileError {
  const near = known.length === 0 ? undefined : nearestName(name, known);
  const all = known.map((one) => `--${one}`).join(', ');
  const remedy =
    near === undefined ? (all === '' ? 'it takes none' : `it takes ${all}`) : `did you mean --${near}?`;
  return new DockerfileError(place, `${keyword} has no --${name}`, remedy);
}

/** The value of a flag that may come once. */
export function single({ values }: Flags, name: string): string | undefined {
  return values.get(name)?.[0];
}

/** The value of a flag that is true or false. */
export function truth(place: Place, flags: Flags, name: string): boolean | undefined {
  const value = single(flags, name)?.toLowerCase();
  if (value === undefined || value === 'true') return value === undefined ? undefined : true;
  if (value === 'false') return false;
  throw new DockerfileError(place, `invalid --${name}=${value}`, 'it is true or false');
}

const UNITS: Record<string, number> = {
  ns: 1,
  us: 1e3,
  µs: 1e3,
  μs: 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3600e9,
};

/** A duration as Go writes them, in nanoseconds: `1m30s`. Docker has no use for one below a millisecond. */
export function duration(place: Place, name: string, text: string): number {
  if (text === '' || text === '0') return 0;
  const parts = [...text.matchAll(/(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)/g)];
  if (parts.length === 0 || parts.map(([all]) => all).join('') !== text) {
    throw new DockerfileError(place, `--${name}=${text} is not a duration`, 'write it as in 30s or 1m30s');
  }
  const sum = parts.reduce((total, [, count, unit]) => total + Math.round(Number(count) * UNITS[unit]), 0);
  if (sum > 0 && sum < UNITS.ms)
    throw new DockerfileError(
      place,
      `--${name}=${text} is below a millisecond`,
      'write it as in 30s or 1m30s',
    );
  return sum;
}
