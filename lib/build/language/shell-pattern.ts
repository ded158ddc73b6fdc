// SPDX-License-Identifier: MIT
/** Patterns in `${name#pattern}`, `${name%pattern}` and `${name/pattern/text}`. */

/**
 * A pattern in `${…}`: `*` and `?` and nothing else; `\` takes their meaning away, and that of
 * the characters that end the pattern (Dockerfile reference, "Environment replacement").
 * Throws a SyntaxError.
 */
function patternSource(pattern: string): string {
  let source = '';
  for (let at = 0; at < pattern.length; at++) {
    let char = pattern[at];
    if (char === '*') source += '[\\s\\S]*';
    else if (char === '?') source += '[\\s\\S]';
    else {
      if (char === '\\') {
        char = pattern[++at] ?? '';
        if (char === '' || !'*?\\}/'.includes(char))
          throw new SyntaxError(`the pattern ${pattern} has \\${char}: only *, ?, \\, } and / are escaped`);
      }
      source += char.replace(/[.*+?^${}()|[\]\\/]/, '\\$&');
    }
  }
  return source;
}

/** `#` and `%`: the shortest or, doubled, the longest match at the beginning or the end goes. Throws a SyntaxError. */
export function withoutMatch(value: string, pattern: string, operator: string): string {
  const expression = new RegExp(`^(?:${patternSource(pattern)})$`);
  const lengths = Array.from({ length: value.length + 1 }, (_, length) => length);
  if (operator.length === 2) lengths.reverse();
  const isPrefix = operator.startsWith('#');
  for (const length of lengths) {
    const part = isPrefix ? value.slice(0, length) : value.slice(value.length - length);
    if (expression.test(part)) return isPrefix ? value.slice(length) : value.slice(0, value.length - length);
  }
  return value;
}

/** What matches the pattern somewhere in a text. Throws a SyntaxError. */
export function patternExpression(pattern: string, all: boolean): RegExp {
  return new RegExp(patternSource(pattern), all ? 'g' : '');
}
