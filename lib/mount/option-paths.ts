// SPDX-License-Identifier: MIT
/** Paths within mount options: `\:` and `\,` stand for the character itself, as overlayfs reads them. */
import { UsageError } from '../base/errors.js';

/** Splits at a separator that is neither escaped nor, for commas, within the quotes of a context. */
export function splitUnescaped(text: string, separator: string): string[] {
  const parts: string[] = [''];
  let quoted = false;
  for (let index = 0; index < text.length; index++) {
    const character = text[index];
    const last = parts.length - 1;
    if (character === '"' && (quoted || /^\w*context=$/.test(parts[last]))) quoted = !quoted;
    if (character === separator && !quoted) parts.push('');
    else {
      parts[last] += character;
      if (character === '\\' && index + 1 < text.length) parts[last] += text[++index];
    }
  }
  return parts;
}

export function unescapePath(path: string): string {
  return path.replace(/\\([\\:,])/g, '$1');
}

/** `A:B::C`: layers, top first, and after a double colon those that only hold data (overlayfs.rst, "Data-only lower layers"). */
export function splitLayers(value: string): { lowers: string[]; dataLowers: string[] } {
  const parts = splitUnescaped(value, ':').map(unescapePath);
  const double = parts.findIndex((part, index) => part === '' && index > 0 && index < parts.length - 1);
  const lowers = double < 0 ? parts : parts.slice(0, double);
  const rest = double < 0 ? [] : parts.slice(double + 1);
  // Between two data-only layers stands a double colon again.
  const dataLowers = rest.filter((_, index) => index % 2 === 0);
  const separators = rest.filter((_, index) => index % 2 === 1);
  if ([...lowers, ...dataLowers].includes('') || separators.some((part) => part !== '')) {
    throw new UsageError(
      'lowerdir has an empty entry',
      'remove the stray colon, or write \\: for one in a name; `::` may only stand before data-only layers',
    );
  }
  return { lowers, dataLowers };
}
