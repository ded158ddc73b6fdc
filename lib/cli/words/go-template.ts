// SPDX-License-Identifier: MIT
/**
 * What `--format` takes, as Docker's users write it: the part of Go's text/template
 * that is met in practice: `{{.Field.Sub}}`, `{{json .Field}}`, `{{index .Map "key"}}`,
 * `{{join .List ", "}}`, `{{len .List}}`, `{{lower .}}`, `{{upper .}}`, and
 * `{{range .List}}…{{end}}`, `{{if .Field}}…{{else}}…{{end}}`.
 */
import { UsageError } from '../../base/errors.js';

type Scope = unknown;
type Part = (scope: Scope) => string;

const TOKENS = /\{\{-?\s*(.*?)\s*-?\}\}/gs;

/** Makes a template; throws UsageError for one that cannot be read. */
export function compileTemplate(text: string): (scope: Scope) => string {
  const tokens = tokenize(text.replaceAll('\\t', '\t').replaceAll('\\n', '\n'));
  const reader = { tokens, at: 0 };
  const { parts, ended } = parseParts(reader);
  if (ended !== undefined) throw malformed(`{{${ended}}} ends nothing`);
  return (scope) => parts.map((part) => part(scope)).join('');
}

type Token = { kind: 'text' | 'action'; text: string };

function tokenize(text: string): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  for (const match of text.matchAll(TOKENS)) {
    if (match.index > at) tokens.push({ kind: 'text', text: text.slice(at, match.index) });
    tokens.push({ kind: 'action', text: match[1] });
    at = match.index + match[0].length;
  }
  if (at < text.length) tokens.push({ kind: 'text', text: text.slice(at) });
  return tokens;
}

interface Reader {
  tokens: readonly Token[];
  at: number;
}

function parseParts(reader: Reader): { parts: Part[]; ended: string | undefined } {
  const parts: Part[] = [];
  while (reader.at < reader.tokens.length) {
    const { kind, text } = reader.tokens[reader.at++];
    if (kind === 'text') parts.push(() => text);
    else if (text === 'end' || text === 'else') return { parts, ended: text };
    else if (text.startsWith('range ')) parts.push(parseRange(reader, text.slice(6)));
    else if (text.startsWith('if ')) parts.push(parseIf(reader, text.slice(3)));
    else parts.push(parseAction(text));
  }
  return { parts, ended: undefined };
}

function parseRange(reader: Reader, list: string): Part {
  const value = parseValue(list);
  const { parts, ended } = parseParts(reader);
  if (ended !== 'end') throw malformed('{{range}} has no {{end}}');
  return (scope) => {
    const items = value(scope);
    return Object.values(items ?? [])
      .flatMap((item) => parts.map((part) => part(item)))
      .join('');
  };
}

function parseIf(reader: Reader, condition: string): Part {
  const value = parseValue(condition);
  const yes = parseParts(reader);
  const no = yes.ended === 'else' ? parseParts(reader) : { parts: [], ended: yes.ended };
  if (no.ended !== 'end') throw malformed('{{if}} has no {{end}}');
  return (scope) => (isTrue(value(scope)) ? yes : no).parts.map((part) => part(scope)).join('');
}

/** As Go has it: the empty value of each type is false. */
function isTrue(value: unknown): boolean {
  if (typeof value === 'object' && value !== null) return Object.keys(value).length > 0;
  return Boolean(value);
}

function parseAction(text: string): Part {
  const value = parseValue(text);
  return (scope) => show(value(scope));
}

/** Strings as they are; all else as Go prints it, near enough. */
function show(value: unknown): string {
  if (value === null || value === undefined) return '';
  if (Array.isArray(value)) return `[${value.map(show).join(' ')}]`;
  if (typeof value === 'object') {
    return `map[${Object.entries(value)
      .map(([key, item]) => `${key}:${show(item)}`)
      .join(' ')}]`;
  }
  return String(value);
}

const FUNCTIONS: Record<string, (...values: unknown[]) => unknown> = {
  json: (value) => JSON.stringify(value ?? null),
  index: (value, ...keys) =>
    keys.reduce((at, key) => (at as Record<string, unknown>)?.[key as string], value),
  join: (value, separator) => Object.values(value ?? []).join(String(separator ?? '')),
  len: (value) => (typeof value === 'string' ? value.length : Object.keys(value ?? {}).length),
  lower: (value) => show(value).toLowerCase(),
  upper: (value) => show(value).toUpperCase(),
  println: (value) => `${show(value)}\n`,
};

function parseValue(text: string): (scope: Scope) => unknown {
  const words = text.match(/"(?:[^"\\]|\\.)*"|[^\s]+/g) ?? [];
  const [first, ...rest] = words;
  if (first === undefined) throw malformed('{{}} is empty');
  const apply = Object.hasOwn(FUNCTIONS, first) ? FUNCTIONS[first] : undefined;
  if (apply === undefined) {
    if (rest.length > 0) throw malformed(`${first} is no function that is known`);
    return parseOperand(first);
  }
  const operands = rest.map(parseOperand);
  return (scope) => apply(...operands.map((operand) => operand(scope)));
}

function parseOperand(word: string): (scope: Scope) => unknown {
  if (word.startsWith('"')) {
    const literal = JSON.parse(word) as string;
    return () => literal;
  }
  if (/^\d+$/.test(word)) return () => Number(word);
  if (!/^(\.|(\.\w+)+)$/.test(word)) throw malformed(`${JSON.stringify(word)} is not known`);
  const keys = word.split('.').filter(Boolean);
  return (scope) => {
    let at = scope;
    for (const key of keys) {
      if (typeof at === 'object' && at !== null && key in at) at = (at as Record<string, unknown>)[key];
      else if (at === scope)
        throw malformed(`there is no field ${word}; there are ${Object.keys(scope as object).join(', ')}`);
      else return undefined;
    }
    return at;
  };
}

function malformed(reason: string): UsageError {
  return new UsageError(`--format: ${reason}`, 'write a template as in "{{.Repository}}:{{.Tag}}", or json');
}
