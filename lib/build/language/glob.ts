// SPDX-License-Identifier: MIT
/**
 * Patterns of file names as Go's path/filepath.Match has them: `*`, `?`, `[a-z]`,
 * `[^a-z]` and `\` before a character that stands for itself; with `doubleStar`
 * also `**` for any number of directories, as .dockerignore has it.
 */

export interface GlobOptions {
  doubleStar?: boolean;
}

/** Whether a text is more than a name; with an escape alone it is one, written otherwise. */
export function isGlob(text: string): boolean {
  return /[*?[\\]/.test(text);
}

/** Whether it may match several names, or none. */
export function hasWildcard(text: string): boolean {
  return /[*?[]/.test(text.replace(/\\./gs, ''));
}

/** A pattern for one name. */
export function escapeGlob(name: string): string {
  return name.replace(/[*?[\\]/g, '\\$&');
}

const SPECIAL = /[.*+?^${}()|[\]\\/]/g;

/** Throws a SyntaxError for a class without an end, and for a range that runs backwards. */
export function globToRegExp(pattern: string, options: GlobOptions = {}): RegExp {
  const { doubleStar = false } = options;
  let source = '';
  for (let at = 0; at < pattern.length; at++) {
    const char = pattern[at];
    if (doubleStar && pattern.startsWith('**', at)) {
      at++;
      // With a slash behind it, no directory at all is enough.
      if (pattern[at + 1] === '/') {
        at++;
        source += '(?:[\\s\\S]*/)?';
      } else source += '[\\s\\S]*';
    } else if (char === '*') source += '[^/]*';
    else if (char === '?') source += '[^/]';
    else if (char === '[') {
      const end = classEnd(pattern, at);
      source += characterClass(pattern.slice(at + 1, end));
      at = end;
    } else if (char === '\\' && at + 1 < pattern.length) source += pattern[++at].replace(SPECIAL, '\\$&');
    else source += char.replace(SPECIAL, '\\$&');
  }
  try {
    return new RegExp(`^(?:${source})$`);
  } catch {
    throw new SyntaxError(`the pattern ${pattern} has a range that runs backwards`);
  }
}

function classEnd(pattern: string, at: number): number {
  for (let end = at + 1; end < pattern.length; end++) {
    if (pattern[end] === '\\') end++;
    else if (pattern[end] === ']' && end > at + 1) return end;
  }
  throw new SyntaxError(`the pattern ${pattern} has a [ without ]`);
}

function characterClass(body: string): string {
  const isNegated = body.startsWith('^');
  const inner = (isNegated ? body.slice(1) : body).replace(/\\(.)|[[\]^\\]/g, (all, escaped?: string) =>
    escaped === undefined ? `\\${all}` : `\\${escaped}`.replace(/^\\(?=\w)/, ''),
  );
  return `[${isNegated ? '^/' : ''}${inner}]`;
}
