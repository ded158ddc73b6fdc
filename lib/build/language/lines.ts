// SPDX-License-Identifier: MIT
/**
 * The lines of a Dockerfile: comments and continuations taken away, directives
 * read, here-documents gathered (Dockerfile reference, "Format", "Parser
 * directives", "Here-Documents").
 */
import { DockerfileError, type Place } from './failure.js';
import { splitFlags } from './flags.js';
import { copyTokens, type HeredocName, shellHeredocs } from './heredoc.js';
import { jsonList } from './json-list.js';

export interface Heredoc {
  name: string;
  content: string;
  /** The name was not quoted: variables in the content mean something. */
  expands: boolean;
}

/** One instruction. */
export interface LogicalLine {
  place: Place;
  /** In capitals. */
  keyword: string;
  /** What follows the keyword, on one line. */
  rest: string;
  heredocs: Heredoc[];
}

export interface Directive {
  name: 'syntax' | 'escape' | 'check';
  value: string;
  place: Place;
}

export interface Lines {
  escapeCharacter: string;
  directives: Directive[];
  lines: LogicalLine[];
}

const DIRECTIVE = /^#\s*([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(.+?)\s*$/;
const DIRECTIVES: readonly string[] = ['syntax', 'escape', 'check'] satisfies Directive['name'][];
/** Those whose words may name here-documents. */
const WITH_HEREDOCS = new Set(['RUN', 'COPY', 'ADD']);
/** No real one is larger, and all of it is held several times over. */
const MAX_FILE_SIZE = 16 << 20;

class LineReader {
  readonly #physical: string[];
  #at = 0;
  readonly #continued: RegExp;
  readonly directives: readonly Directive[];
  readonly escapeCharacter: string;

  constructor(
    text: string,
    private readonly file: string,
  ) {
    this.#physical = text.replace(/^\ufeff/, '').split('\n');
    if (this.#physical.at(-1) === '') this.#physical.pop();
    this.directives = this.#readDirectives();
    this.escapeCharacter = this.directives.find(({ name }) => name === 'escape')?.value ?? '\\';
    const escapeCharacter = this.escapeCharacter === '\\' ? '\\\\' : this.escapeCharacter;
    // A doubled one stands for itself.
    this.#continued = new RegExp(`(^|[^${escapeCharacter}])${escapeCharacter}[ \\t]*$`);
  }

  /** They come before everything else, each once; one that is not known is a comment like any other. */
  #readDirectives(): Directive[] {
    const directives: Directive[] = [];
    for (const [index, line] of this.#physical.entries()) {
      const match = DIRECTIVE.exec(line.trim());
      const name = match?.[1].toLowerCase() as Directive['name'];
      if (match === null || !DIRECTIVES.includes(name)) break;
      const place = { file: this.file, line: index + 1 };
      if (directives.some((other) => other.name === name))
        throw new DockerfileError(place, `the directive ${name} is given twice`);
      const value = match[2];
      if (name === 'escape' && value !== '\\' && value !== '`')
        throw new DockerfileError(place, `invalid escape=${value}`, 'it is \\ or `');
      directives.push({ name, value, place });
    }
    return directives;
  }

  #next(): string | undefined {
    return this.#physical[this.#at++]?.replace(/\r+$/, '');
  }

  /** The next line that says something, with those that continue it. */
  *read(): Generator<LogicalLine> {
    for (let line = this.#next(); line !== undefined; line = this.#next()) {
      const number = this.#at;
      const start = line.trimStart();
      if (start === '' || start.startsWith('#')) continue;
      const whole = this.#join(start);
      if (whole !== '') yield this.#compose({ file: this.file, line: number }, whole);
    }
  }

  /** Puts continuations together; comments and empty lines among them are none. */
  #join(start: string): string {
    let whole = '';
    for (let line: string | undefined = start; line !== undefined; line = this.#next()) {
      if (line !== start && /^\s*(#|$)/.test(line)) continue;
      whole += line.replace(this.#continued, '$1');
      if (!this.#continued.test(line)) break;
    }
    return whole.trim();
  }

  #compose(place: Place, whole: string): LogicalLine {
    const [, word, rest] = /^(\S+)\s*(.*)$/s.exec(whole)!;
    const keyword = word.toUpperCase();
    const [, inner, innerRest] = keyword === 'ONBUILD' ? /^(\S*)\s*(.*)$/s.exec(rest)! : ['', word, rest];
    return { place, keyword, rest, heredocs: this.#heredocs(place, inner.toUpperCase(), innerRest) };
  }

  #heredocs(place: Place, keyword: string, rest: string): Heredoc[] {
    if (!WITH_HEREDOCS.has(keyword) || !rest.includes('<<')) return [];
    const { rest: words } = splitFlags(rest, this.escapeCharacter);
    if (jsonList(place, words) !== undefined) return [];
    const names = keyword === 'RUN' ? shellHeredocs(rest) : copyTokens(words);
    return names.flatMap((name) => (typeof name === 'string' ? [] : (this.#heredoc(place, name) ?? [])));
  }

  /** Its lines are taken as they are, line ends of Windows included. */
  #heredoc(place: Place, { name, expands, trims, isCertain }: HeredocName): Heredoc | undefined {
    const from = this.#at;
    const lines: string[] = [];
    for (; this.#at < this.#physical.length; this.#at++) {
      const line = this.#physical[this.#at];
      const text = trims ? line.replace(/^\t+/, '') : line;
      if (text.replace(/\r+$/, '') === name) {
        this.#at++;
        return { name, expands, content: lines.map((one) => `${one}\n`).join('') };
      }
      lines.push(text);
    }
    this.#at = from;
    if (!isCertain) return undefined;
    throw new DockerfileError(place, `the here-document ${name} has no end`, `end it by a line ${name}`);
  }
}

/** Throws a DockerfileError for what cannot be taken apart. */
export function readLines(text: string, file: string): Lines {
  if (text.length > MAX_FILE_SIZE)
    throw new DockerfileError({ file, line: 1 }, 'it is larger than any Dockerfile');
  const reader = new LineReader(text, file);
  return {
    escapeCharacter: reader.escapeCharacter,
    directives: [...reader.directives],
    lines: [...reader.read()],
  };
}
