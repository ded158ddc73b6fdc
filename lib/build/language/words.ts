// SPDX-License-Identifier: MIT
/**
 * Words of an instruction: quotes, escapes and variables, as in the Dockerfile
 * reference, "Environment replacement", which follows the shell (POSIX.1-2017,
 * XCU 2.6.2 "Parameter Expansion") without commands and arithmetic.
 */
import { DockerfileError, type Place } from './failure.js';
import { patternExpression, withoutMatch } from './shell-pattern.js';

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

/** `name` of `$name`, at a place in a text. The digits of a positional parameter count together, as in a shell's `${12}`. */
const NAME = /[\p{L}_][\p{L}\p{Nd}_]*|\p{Nd}+|[@*#?!$-]/uy;
const OPERATOR = /\}|:?[-+?]|##?|%%?|\/\/?/y;

interface Syntax {
  escapeCharacter: string;
  /** In a here-document they are text like any other. */
  quotes: boolean;
}

class Expander {
  #at = 0;

  constructor(
    private readonly text: string,
    private readonly lookup: Lookup,
    private readonly syntax: Syntax,
  ) {}

  /**
   * All of the text; or up to the character `end`, which is passed. With `rawEscapes` what is
   * escaped keeps its escape, for patterns.
   */
  pieces(end = '', rawEscapes = false): Piece[] {
    const pieces: Piece[] = [];
    for (;;) {
      if (this.#at >= this.text.length) {
        if (end === '') return pieces;
        throw this.#wrong(`has no ${end}`);
      }
      if (this.text[this.#at] === end) {
        this.#at++;
        return pieces;
      }
      pieces.push(this.#plain(end) ?? this.#piece(this.text[this.#at], rawEscapes));
    }
  }

  #wrong(reason: string): WordError {
    const subject = this.syntax.quotes ? this.text.replace(/\s+/g, ' ') : 'the here-document';
    return new WordError(`${subject} ${reason}`);
  }

  /** What means nothing but itself; undefined where there is none of it. */
  #plain(end: string): Piece | undefined {
    const from = this.#at;
    while (this.#at < this.text.length && !this.#isSpecial(this.text[this.#at], end)) this.#at++;
    return this.#at === from ? undefined : { text: this.text.slice(from, this.#at), splits: true };
  }

  #isSpecial(char: string, end: string): boolean {
    const { escapeCharacter, quotes } = this.syntax;
    if (char === '$' || char === escapeCharacter || char === end) return true;
    return quotes && (char === '"' || char === "'");
  }

  #piece(char: string, rawEscapes: boolean): Piece {
    if (char === '$') return { text: this.#variable(), splits: true };
    if (char === "'") return this.#single();
    if (char === '"') return this.#double(rawEscapes);
    this.#at++;
    // At the very end it is nothing.
    const escaped = this.text[this.#at++] ?? '';
    return { text: rawEscapes ? char + escaped : escaped, splits: false };
  }

  #single(): Piece {
    const end = this.text.indexOf("'", this.#at + 1);
    if (end < 0) throw this.#wrong("has no second '");
    const text = this.text.slice(this.#at + 1, end);
    this.#at = end + 1;
    return { text, splits: false };
  }

  #double(rawEscapes: boolean): Piece {
    const { escapeCharacter } = this.syntax;
    let text = '';
    for (this.#at++; ; ) {
      const char = this.text[this.#at];
      if (char === undefined) throw this.#wrong('has no second "');
      if (char === '$') {
        text += this.#variable();
        continue;
      }
      this.#at++;
      if (char === '"') return { text, splits: false };
      const next = this.text[this.#at];
      const isEscaped =
        char === escapeCharacter && (next === '"' || next === '$' || next === escapeCharacter);
      if (!isEscaped) text += char;
      else {
        text += rawEscapes ? char + next : next;
        this.#at++;
      }
    }
  }

  /** What a sticky expression matches here, which is passed. */
  #take(expression: RegExp): string | undefined {
    expression.lastIndex = this.#at;
    const found = expression.exec(this.text)?.[0];
    this.#at += found?.length ?? 0;
    return found;
  }

  #variable(): string {
    this.#at++;
    if (this.text[this.#at] === '{') return this.#braced();
    const name = this.#take(NAME);
    return name === undefined ? '$' : (this.lookup(name) ?? '');
  }

  #braced(): string {
    this.#at++;
    const name = this.#take(NAME);
    if (name === undefined) throw this.#wrong('has a ${ without the name of a variable');
    const value = this.lookup(name);
    const operator = this.#take(OPERATOR);
    if (operator === undefined) {
      const rest = /^[^}\s]{0,2}/.exec(this.text.slice(this.#at, this.#at + 2))![0];
      throw this.#wrong(
        `has a \${${name} without }${rest === '' ? '' : `, and there is no modifier ${rest}`}`,
      );
    }
    if (operator === '}') return value ?? '';
    if (operator.startsWith('/')) return this.#replaced(value ?? '', operator === '//');
    const isPattern = /[#%]/.test(operator);
    const word = joined(this.pieces('}', isPattern));
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
        return this.#understood(() => withoutMatch(value ?? '', word, operator));
    }
  }

  #understood<T>(work: () => T): T {
    try {
      return work();
    } catch (failure) {
      throw failure instanceof SyntaxError ? new WordError(failure.message) : failure;
    }
  }

  #replaced(value: string, all: boolean): string {
    const pattern = joined(this.pieces('/', true));
    const replacement = joined(this.pieces('}', true));
    return value.replace(
      this.#understood(() => patternExpression(pattern, all)),
      () => replacement,
    );
  }
}

function joined(pieces: readonly Piece[]): string {
  return pieces.map(({ text }) => text).join('');
}

/** One word with its quotes taken away and its variables replaced. Throws a WordError. */
export function expandWord(text: string, lookup: Lookup, escapeCharacter: string): string {
  return joined(new Expander(text, lookup, { escapeCharacter, quotes: true }).pieces());
}

/**
 * A here-document with its variables replaced: `\` takes the meaning of whatever follows it away,
 * with every escape directive, and goes (as BuildKit's SourcesAndDest.ExpandRaw). Throws a WordError.
 */
export function expandDocument(text: string, lookup: Lookup): string {
  return joined(new Expander(text, lookup, { escapeCharacter: '\\', quotes: false }).pieces());
}

/** The same, split at white space that is not quoted, that of variables included. */
export function expandWords(text: string, lookup: Lookup, escapeCharacter: string): string[] {
  const words: string[] = [];
  let word: string | undefined;
  for (const { text: piece, splits } of new Expander(text, lookup, {
    escapeCharacter,
    quotes: true,
  }).pieces()) {
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

/** Does something with words of an instruction; what they lack is told with its place. */
export function atPlace<T>(place: Place, work: () => T): T {
  try {
    return work();
  } catch (failure) {
    if (failure instanceof WordError || failure instanceof SyntaxError)
      throw new DockerfileError(place, failure.message);
    throw failure;
  }
}
