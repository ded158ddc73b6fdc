// SPDX-License-Identifier: MIT
/** `--name=value` between an instruction's keyword and its words. */
import { nearestName } from '../../base/errors.js';
import { DockerfileError, type Place } from './failure.js';
import { splitRaw } from './words.js';

export interface Flags {
  /** By name; each may come several times. */
  values: Map<string, string[]>;
  /** What follows them. */
  rest: string;
}

/** Takes the flags from the beginning of a line. Throws a DockerfileError for one that is not known. */
export function takeFlags(place: Place, keyword: string, text: string, known: readonly string[]): Flags {
  const values = new Map<string, string[]>();
  let rest = text;
  while (rest.startsWith('--')) {
    const [word] = splitRaw(rest, '\\');
    rest = rest.slice(word.length).trimStart();
    if (word === '--') break;
    const [, name, value] = /^--([^=]*)=?(.*)$/s.exec(word)!;
    if (!known.includes(name)) throw unknownFlag(place, keyword, name, known);
    values.set(name, [...(values.get(name) ?? []), word.includes('=') ? value : 'true']);
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
export function single(place: Place, { values }: Flags, name: string): string | undefined {
  const all = values.get(name) ?? [];
  if (all.length > 1) throw new DockerfileError(place, `--${name} is given twice`);
  return all[0];
}

export function truth(place: Place, flags: Flags, name: string): boolean | undefined {
  const value = single(place, flags, name);
  if (value === undefined || value === 'true') return value === undefined ? undefined : true;
  if (value === 'false') return false;
  throw new DockerfileError(place, `--${name}=${value} is not possible`, 'it is true or false');
}

const UNITS: Record<string, number> = { ns: 1, us: 1e3, µs: 1e3, ms: 1e6, s: 1e9, m: 60e9, h: 3600e9 };

/** A duration as Go writes them, in nanoseconds: `1m30s`. */
export function duration(place: Place, name: string, text: string): number {
  if (text === '0') return 0;
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)/g)];
  if (parts.length === 0 || parts.map(([all]) => all).join('') !== text) {
    throw new DockerfileError(place, `--${name}=${text} is no duration`, 'write it as in 30s or 1m30s');
  }
  return parts.reduce((sum, [, count, unit]) => sum + Math.round(Number(count) * UNITS[unit]), 0);
}
