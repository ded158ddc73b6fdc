// SPDX-License-Identifier: MIT
/**
 * `NAME=VALUE` of --env and --label, and files of such lines as docker/cli's kvfile reads them: what follows `=` is the
 * value, quotes and blanks included. Throws UsageError, and an OverlayError for a file.
 */
import { isUtf8 } from 'node:buffer';
import { readFileSync } from 'node:fs';
import { OverlayError, UsageError } from '../../base/errors.js';
import { configuredProxies } from '../../image/credentials/docker-proxies.js';

/** Go's unicode.IsSpace, which differs from what `trimStart` takes away. */
const LEADING_SPACE = /^[\t\n\v\f\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+/;
const BYTE_ORDER_MARK = /^\ufeff/;
const LINE_FEED = 10;

/** A name goes up to the first `=`. */
function nameOf(text: string): string {
  return text.split('=', 1)[0];
}

function* linesOf(bytes: Buffer): Generator<Buffer> {
  for (let at = 0; at < bytes.length; ) {
    const end = bytes.indexOf(LINE_FEED, at);
    yield bytes.subarray(at, end < 0 ? bytes.length : end);
    at = end < 0 ? bytes.length : end + 1;
  }
}

function readFile(path: string, option: string): Buffer {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw new OverlayError({ operation: `read ${option}`, path, reason: (cause as Error).message, cause });
  }
}

/** The lines that are neither empty nor comments. */
function readLines(path: string, option: string): string[] {
  const lines: string[] = [];
  let number = 0;
  for (const bytes of linesOf(readFile(path, option))) {
    number++;
    const refuse = (reason: string, remedy: string): never => {
      throw new OverlayError({ operation: `read ${option}`, path: `${path}:${number}`, reason, remedy });
    };
    if (!isUtf8(bytes)) refuse('the line is not UTF-8', 'save the file as UTF-8');
    const text = bytes.toString('utf8').replace(/\r$/, '');
    const line = (number === 1 ? text.replace(BYTE_ORDER_MARK, '') : text).replace(LEADING_SPACE, '');
    if (line === '' || line.startsWith('#')) continue;
    const name = nameOf(line);
    if (name === '') refuse('the line has no name', 'write NAME=VALUE');
    if (/[ \t]/.test(name)) refuse(`the name “${name}” has blanks`, 'write NAME=VALUE');
    lines.push(line);
  }
  return lines;
}

function valueHere(name: string): string[] {
  const value = process.env[name];
  return value === undefined ? [] : [`${name}=${value}`];
}

/**
 * A variable without a value has that of this command. Where there is none, a file's is left out, and an option's takes
 * the image's away.
 */
export function environmentFrom(texts: readonly string[], files: readonly string[]): string[] {
  const read = files.flatMap((path) => readLines(path, '--env-file'));
  return [
    ...read.flatMap((line) => (line.includes('=') ? [line] : valueHere(line))),
    ...texts.flatMap((text) => {
      if (nameOf(text) === '') throw new UsageError(`--env ${text} has no name`, 'write NAME=VALUE');
      if (text.includes('=')) return [text];
      const found = valueHere(text);
      return found.length > 0 ? found : [text];
    }),
  ];
}

/** What Docker's configuration says of proxies, where nothing else was given for the same name. */
export function proxiesBeside(given: readonly string[]): string[] {
  const names = new Set(given.map(nameOf));
  return configuredProxies().flatMap(([name, value]) => (names.has(name) ? [] : [`${name}=${value}`]));
}

/** A label without a value is empty. */
export function labelsFrom(texts: readonly string[], files: readonly string[]): Record<string, string> {
  for (const text of texts) {
    const name = nameOf(text).replace(/^[ \t]+/, '');
    if (name === '') throw new UsageError(`--label ${text} has no name`, 'write NAME=VALUE');
    if (/[ \t]/.test(name)) throw new UsageError(`--label ${text}: the name has blanks`, 'write NAME=VALUE');
  }
  const all = [...files.flatMap((path) => readLines(path, '--label-file')), ...texts];
  return Object.fromEntries(all.map((text) => [nameOf(text), text.slice(nameOf(text).length + 1)]));
}
