// SPDX-License-Identifier: MIT
/** `--filter KEY=VALUE`, as Docker's commands take it, given once or several times. */
import { UsageError } from '../base/errors.js';

export type Filters = Map<string, string[]>;

/** Throws UsageError for a key that the command does not know. */
export function parseFilters(texts: readonly string[], known: readonly string[]): Filters {
  const filters: Filters = new Map();
  for (const text of texts) {
    const equals = text.indexOf('=');
    const key = text.slice(0, Math.max(equals, 0));
    if (equals < 1 || !known.includes(key)) {
      throw new UsageError(
        `--filter ${text} is not possible`,
        `filters are ${known.map((name) => `${name}=…`).join(', ')}`,
      );
    }
    filters.set(key, [...(filters.get(key) ?? []), text.slice(equals + 1)]);
  }
  return filters;
}

const UNITS: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** A moment: a date, seconds since 1970, or how long ago (`24h`, `1h30m`). In ms since 1970. */
export function parseMoment(text: string, now = Date.now()): number {
  if (/^\d+(\.\d+)?$/.test(text)) return Number(text) * 1000;
  if (/^(\d+(\.\d+)?(ms|[smhd]))+$/.test(text)) {
    const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|[smhd])/g)];
    return now - parts.reduce((sum, [, count, unit]) => sum + Number(count) * UNITS[unit], 0);
  }
  const date = Date.parse(text);
  if (Number.isNaN(date))
    throw new UsageError(`${text} is no moment`, 'write a date, or how long ago as in 24h');
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
