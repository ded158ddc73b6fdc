// SPDX-License-Identifier: MIT
/** Lists as Docker prints them: a table, ids alone (-q), JSON, or a template of one's own (--format). */

import { table } from './format.js';
import { compileTemplate } from './go-template.js';

export interface ListingChoices {
  quiet?: boolean | undefined;
  format?: string | undefined;
}

/** One row: what templates see. */
export type Row = Record<string, unknown>;

export interface Column {
  title: string;
  field: string;
}

/** Prints rows; `id` is the field that -q leaves. */
export function printListing(
  rows: readonly Row[],
  columns: readonly Column[],
  id: string,
  choices: ListingChoices,
): void {
  process.stdout.write(composeListing(rows, columns, id, choices));
}

function composeListing(
  rows: readonly Row[],
  columns: readonly Column[],
  id: string,
  { quiet, format }: ListingChoices,
): string {
  if (quiet === true) return [...new Set(rows.map((row) => `${row[id]}\n`))].join('');
  if (format === undefined || format === 'table') {
    return table([
      columns.map(({ title }) => title),
      ...rows.map((row) => columns.map(({ field }) => String(row[field]))),
    ]);
  }
  if (format === 'json') return rows.map((row) => `${JSON.stringify(row)}\n`).join('');
  if (!format.startsWith('table ')) return rows.map((row) => `${compileTemplate(format)(row)}\n`).join('');
  const template = format.slice('table '.length);
  const titles = Object.fromEntries(columns.map(({ title, field }) => [field, title]));
  const heading = template.replace(
    /\{\{[^}]*?\.(\w+)[^}]*\}\}/g,
    (_, field: string) => titles[field] ?? field.toUpperCase(),
  );
  const lines = [heading.replaceAll('\\t', '\t'), ...rows.map(compileTemplate(template))];
  return table(lines.map((line) => line.split('\t')));
}
