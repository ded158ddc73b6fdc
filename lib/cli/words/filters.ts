// SPDX-License-Identifier: MIT
/** `--filter KEY=VALUE`, as Docker's commands take it, given once or several times. */
import { UsageError } from '../../base/errors.js';

export type Filters = Map<string, string[]>;

/** Throws UsageError for a key that the command does not know. */
export function parseFilters(texts: readonly string[], known: readonly string[]): Filters {
  const filters: Filters = new Map();
  for (const text of texts) {
    if (text === '') continue;
    const equals = text.indexOf('=');
    const key = text.slice(0, Math.max(equals, 0)).trim().toLowerCase();
    if (equals < 1 || !known.includes(key)) {
      throw new UsageError(
        `there is no filter ${text}`,
        `filters are ${known.map((name) => `${name}=…`).join(', ')}`,
      );
    }
    filters.set(key, [...(filters.get(key) ?? []), text.slice(equals + 1).trim()]);
  }
  return filters;
}

/** The one truth that a filter was given (filters.Args.GetBoolOrDefault). Throws UsageError for what is none, and for both. */
export function truthOf(key: string, values: readonly string[]): boolean {
  const isTrue = values.some((value) => value === '1' || value === 'true');
  const isFalse = values.some((value) => value === '0' || value === 'false');
  if (isTrue !== isFalse) return isTrue;
  throw new UsageError(`--filter ${key}=${values.join(',')} is not possible`, 'it is true or false');
}

/** Whether labels have `KEY`, or `KEY=VALUE`. */
export function hasLabel(labels: Readonly<Record<string, string>> | null | undefined, text: string): boolean {
  const [key, ...value] = text.split('=');
  const label = labels?.[key];
  return label !== undefined && (value.length === 0 || label === value.join('='));
}

/** Of Go's time.ParseDuration, and days. */
const UNITS: Record<string, number> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  μs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};
const PART = /(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|[smhd])/g;
const DURATION = new RegExp(`^([+-]?)((?:${PART.source})+)$`);
const DATE = /^(\d{4}-\d\d-\d\d)(?:T(\d\d)(?::(\d\d)(?::(\d\d)(\.\d+)?)?)?)?(Z|[+-]\d\d:\d\d)?$/;

/** Of Go's layouts from a day to parts of a second (moby, timestamp.go); without a zone, this machine's. */
function dateOf(text: string): number {
  const match = DATE.exec(text);
  if (match === null) return Number.NaN;
  const [, day, hour = '00', minute = '00', second = '00', fraction = '', zone = ''] = match;
  // JavaScript makes 1 March of 30 February, and the next day of the hour 24.
  if (hour === '24' || new Date(`${day}T00:00:00Z`).getUTCDate() !== Number(day.slice(8))) return Number.NaN;
  return Date.parse(`${day}T${hour}:${minute}:${second}${fraction}${zone}`);
}

/** A moment: a date, seconds since 1970, or how long ago (`24h`, `1h30m`). In ms since 1970. */
export function parseMoment(text: string, now = Date.now()): number {
  if (/^\d+(\.\d+)?$/.test(text)) return Number(text) * 1000;
  const duration = DURATION.exec(text);
  if (duration !== null) {
    const parts = [...duration[2].matchAll(PART)];
    const length = parts.reduce((sum, [, count, unit]) => sum + Number(count) * UNITS[unit], 0);
    return duration[1] === '-' ? now + length : now - length;
  }
  const date = dateOf(text);
  if (Number.isNaN(date))
    throw new UsageError(
      `${text} is not a moment`,
      'write a date as in 2024-05-01T10:00:00Z, or how long ago as in 24h',
    );
  return date;
}

/** `*` and `?` as in file names. */
export function globMatches(pattern: string, text: string): boolean {
  const source = pattern
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replaceAll('*', '[^/]*')
    .replaceAll('?', '[^/]');
  return new RegExp(`^${source}$`).test(text);
}
