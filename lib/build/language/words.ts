// SPDX-License-Identifier: MIT
/**
 * Words of an instruction: quotes, escapes and variables, as in the Dockerfile
 * reference, "Environment replacement", which follows the shell (POSIX.1-2017,
 * XCU 2.6.2 "Parameter Expansion") without commands and arithmetic.
 */
import { globToRegExp } from './glob.js';

/** What a variable is set to; undefined where it is not. */
export type Lookup = (name: string) => string | undefined;

/** A word that cannot be expanded; it becomes a DockerfileError where the line is known. */
export class WordError extends Error {}

/** Splits at white space outside of quotes; quotes and escapes stay. */
export function splitRaw(text: string, escapeCharacter: string): string[] {
  const words: string[] = [];
  let word = '';
  let quote = '';
  for (let at = 0; at < text.length; at++) {
    const char = text[at];
    if (quote === '' && /\s/.test(char)) {
      if (word !== '') words.push(word);
      word = '';
      continue;
    }
    word += char;
    if (char === escapeCharacter && quote !== "'" && at + 1 < text.length) word += text[++at];
    else if (quote === '' && (char === '"' || char === "'")) quote = char;
    else if (char === quote) quote = '';
  }
  if (word !== '') words.push(word);
  return words;
}

/** What a piece of a word may be split at when it came from a variable. */
interface Piece {
  text: string;
  splits: boolean;
}

class Expander {
  #at = 0;

  constructor(
    private readonly text: string,
    private readonly lookup: Lookup,
    private readonly escapeCharacter: string,
  ) {}

  /** All of the text; or up to one of the characters of `end`, which is passed. */
  pieces(end = ''): Piece[] {
    const pieces: Piece[] = [];
    for (;;) {
      if (this.#at >= this.text.length) {
        if (end === '') return pieces;
        throw new WordError(`${this.text} has no ${end}`);
      }
      const char = this.text[this.#at];
      if (end.includes(char) && end !== '') {
        this.#at++;
        return pieces;
      }
      pieces.push(this.#piece(char));
    }
  }

  #piece(char: string): Piece {
    if (char === "'") return this.#single();
    if (char === '"') return this.#double();
    if (char === '$') return { text: this.#variable(), splits: true };
    this.#at++;
    if (char !== this.escapeCharacter) return { text: char, splits: true };
    // At the very end it is nothing.
    return { text: this.text[this.#at++] ?? '', splits: false };
  }

  #single(): Piece {
    const end = this.text.indexOf("'", this.#at + 1);
    if (end < 0) throw new WordError(`${this.text} has no second '`);
    const text = this.text.slice(this.#at + 1, end);
    this.#at = end + 1;
    return { text, splits: false };
  }

  #double(): Piece {
    let text = '';
    for (this.#at++; ; ) {
      const char = this.text[this.#at];
      if (char === undefined) throw new WordError(`${this.text} has no second "`);
      if (char === '$') {
        text += this.#variable();
        continue;
      }
      this.#at++;
      if (char === '"') return { text, splits: false };
      const next = this.text[this.#at];
      const isEscaped =
        char === this.escapeCharacter && (next === '"' || next === '$' || next === this.escapeCharacter);
      text += isEscaped ? next : char;
      if (isEscaped) this.#at++;
    }
  }

  #variable(): string {
    this.#at++;
    if (this.text[this.#at] === '{') return this.#braced();
    const name = /^(?:[a-zA-Z_]\w*|\d|[@*#?!$-])/.exec(this.text.slice(this.#at))?.[0];
    if (name === undefined) return '$';
    this.#at += name.length;
    return this.lookup(name) ?? '';
  }

  #braced(): string {
    const name = /^\{([a-zA-Z_]\w*|\d+|[@*#?!$-])/.exec(this.text.slice(this.#at))?.[1];
    if (name === undefined) throw new WordError(`${this.text} has a \${ without the name of a variable`);
    this.#at += name.length + 1;
    const value = this.lookup(name);
    const operator = /^(?:\}|:[-+?]|[-+?]|##?|%%?|\/\/?)/.exec(this.text.slice(this.#at))?.[0];
    if (operator === undefined) throw new WordError(`${this.text} has a \${${name} without }`);
    this.#at += operator.length;
    if (operator === '}') return value ?? '';
    if (operator.startsWith('/')) return this.#replaced(value ?? '', operator === '//');
    const word = joined(this.pieces('}'));
    const isSet = value !== undefined && (value !== '' || !operator.startsWith(':'));
    switch (operator.at(-1)) {
      case '-':
        return isSet ? value : word;
      case '+':
        return isSet ? word : '';
      case '?':
        if (isSet) return value;
        throw new WordError(word === '' ? `${name} is not set` : `${name}: ${word}`);
      default:
        return trimmed(value ?? '', word, operator);
    }
  }

  #replaced(value: string, all: boolean): string {
    const pattern = joined(this.pieces('/'));
    const replacement = joined(this.pieces('}'));
    const expression = globToRegExp(pattern, { anchored: false, slashes: true, flags: all ? 'g' : '' });
    return value.replace(expression, () => replacement);
  }
}

/** `#` and `%`: the shortest or, doubled, the longest match at the beginning or the end goes. */
function trimmed(value: string, pattern: string, operator: string): string {
  const expression = globToRegExp(pattern, { slashes: true });
  const lengths = Array.from({ length: value.length + 1 }, (_, length) => length);
  if (operator.length === 2) lengths.reverse();
  const isPrefix = operator.startsWith('#');
  for (const length of lengths) {
    const part = isPrefix ? value.slice(0, length) : value.slice(value.length - length);
    if (expression.test(part)) return isPrefix ? value.slice(length) : value.slice(0, value.length - length);
  }
  return value;
}

function joined(pieces: readonly Piece[]): string {
  return pieces.map(({ text }) => text).join('');
}

/** One word with its quotes taken away and its variables replaced. Throws a WordError. */
export function expandWord(text: string, lookup: Lookup, escapeCharacter: string): string {
  return joined(new Expander(text, lookup, escapeCharacter).pieces());
}

/** The same, split at white space that is not quoted, that of variables included. */
export function expandWords(text: string, lookup: Lookup, escapeCharacter: string): string[] {
  const words: string[] = [];
  let word: string | undefined;
  for (const { text: piece, splits } of new Expander(text, lookup, escapeCharacter).pieces()) {
    const parts = splits ? piece.split(/\s+/) : [piece];
    for (const [index, part] of parts.entries()) {
      if (index > 0 && word !== undefined) {
        words.push(word);
        word = undefined;
      }
      if (part !== '' || !splits) word = (word ?? '') + part;
    }
  }
  if (word !== undefined) words.push(word);
  return words;
}
