// SPDX-License-Identifier: MIT
/**
 * The words that name here-documents, as BuildKit's lexer has them (parser/parser.go,
 * heredocsFromLine): the escape character is `\` with every escape directive, quotes
 * around any part of the name mean that the text is taken as it is, and blanks may
 * stand between `<<` and the name.
 */

export interface HeredocName {
  name: string;
  /** No part of the name was quoted: variables in the text mean something. */
  expands: boolean;
  /** `<<-`: tabs at the beginning of lines go. */
  trims: boolean;
  /** Without a line that ends it, this is an error. The shell has other uses of `<<`, as in `$((1 << 3))`. */
  isCertain: boolean;
}

const START = /\d*<<-?/y;
/** What ends the name for the shell that will read the line, too. */
const OPERATORS = '<>|&;()';

/** Where a word ends, that begins at `from`: at white space outside of quotes, but not at that behind `<<`. */
function wordEnd(text: string, from: number): number {
  START.lastIndex = from;
  let at = from + (START.exec(text)?.[0].length ?? 0);
  if (at > from) while (/[ \t\r]/.test(text[at] ?? '')) at++;
  let quote = '';
  for (; at < text.length; at++) {
    const char = text[at];
    if (quote === '' && /\s/.test(char)) break;
    if (char === '\\' && quote !== "'") at++;
    else if (quote === '' && (char === '"' || char === "'")) quote = char;
    else if (char === quote) quote = '';
  }
  return Math.min(at, text.length);
}

/** The name without its quotes and escapes; undefined where a quote has no end. */
function unquoted(text: string): { name: string; isQuoted: boolean } | undefined {
  let name = '';
  let quote = '';
  let isQuoted = false;
  for (let at = 0; at < text.length; at++) {
    const char = text[at];
    const next = text[at + 1] ?? '';
    if (char === quote) quote = '';
    else if (quote === '' && (char === '"' || char === "'")) {
      quote = char;
      isQuoted = true;
    } else if (char === '\\' && (quote === '' || (quote === '"' && next !== '' && '"$\\'.includes(next)))) {
      name += next;
      at++;
    } else name += char;
  }
  return quote === '' ? { name, isQuoted } : undefined;
}

/** Up to an operator of the shell that is not quoted. */
function beforeOperator(text: string): string {
  let quote = '';
  for (let at = 0; at < text.length; at++) {
    const char = text[at];
    if (char === quote) quote = '';
    else if (quote !== '') continue;
    else if (char === '"' || char === "'") quote = char;
    else if (char === '\\') at++;
    else if (OPERATORS.includes(char)) return text.slice(0, at);
  }
  return text;
}

/** Undefined for a word that names no here-document. */
function heredocName(word: string, isForShell: boolean): HeredocName | undefined {
  const match = /^\d*<<(-?)(\s*)([^<]+)$/s.exec(word);
  if (match === null) return undefined;
  const [, dash, blanks, rest] = match;
  const found = unquoted(isForShell ? beforeOperator(rest) : rest);
  if (found === undefined || found.name === '') return undefined;
  const { name, isQuoted } = found;
  const isCertain = !isForShell || isQuoted || (blanks === '' && /^[a-zA-Z_]/.test(name));
  return { name, expands: !isQuoted, trims: dash === '-', isCertain };
}

/** Those in a line for the shell. */
export function shellHeredocs(line: string): HeredocName[] {
  const names: HeredocName[] = [];
  for (let at = 0; at < line.length; at++) {
    if (/\s/.test(line[at])) continue;
    const end = wordEnd(line, at);
    const found = heredocName(line.slice(at, end), true);
    if (found !== undefined) names.push(found);
    at = end;
  }
  return names;
}

/** Whether a line is a here-document and nothing else: it is the script then. */
export function isHeredocAlone(line: string): boolean {
  if (wordEnd(line, 0) !== line.length) return false;
  const name = heredocName(line, true)?.name;
  return name !== undefined && name === heredocName(line, false)?.name;
}

/** Of every file system that images are unpacked on (limits.h). */
const NAME_MAX = 255;

/** A here-document may become a file of its name. */
export function isFileName(name: string): boolean {
  return !/[/\0]|^\.\.?$/.test(name) && Buffer.byteLength(name) <= NAME_MAX;
}

/** Words of COPY and ADD, which are split at white space, quoted or not, and here-documents. */
export function copyTokens(text: string): (string | HeredocName)[] {
  const tokens: (string | HeredocName)[] = [];
  const blank = /[\t\v\f\r ]/;
  for (let at = 0; at < text.length; at++) {
    if (blank.test(text[at])) continue;
    let end = wordEnd(text, at);
    const document = heredocName(text.slice(at, end), false);
    if (document === undefined) for (end = at; end < text.length && !blank.test(text[end]); ) end++;
    tokens.push(document ?? text.slice(at, end));
    at = end;
  }
  return tokens;
}
