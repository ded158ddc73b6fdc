// SPDX-License-Identifier: MIT
/**
 * The lines of a Dockerfile: comments and continuations taken away, directives
 * read, here-documents gathered (Dockerfile reference, "Format", "Parser
 * directives", "Here-Documents").
 */
import { DockerfileError, type Place } from './failure.js';
import { splitRaw } from './words.js';

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

export interface Lines {
  escapeCharacter: string;
  lines: LogicalLine[];
}

const DIRECTIVE = /^#\s*([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(.+?)\s*$/;
/** The name is one of the shell's; `<<2` is an operator, and `<<<` begins a here-string. */
const HEREDOC = /^\d*<<(-?)(["']?)([a-zA-Z_][\w.-]*)\2(?:[>|&;)].*)?$/s;
/** Those whose words may name here-documents. */
const WITH_HEREDOCS = new Set(['RUN', 'COPY', 'ADD']);
/** No real one is larger, and all of it is held several times over. */
const LARGEST_FILE = 16 << 20;

class LineReader {
  readonly #physical: string[];
  #at = 0;
  readonly #continued: RegExp;
  readonly escapeCharacter: string;

  constructor(
    text: string,
    private readonly file: string,
  ) {
    this.#physical = text.replace(/^\ufeff/, '').split('\n');
    if (this.#physical.at(-1) === '') this.#physical.pop();
    this.escapeCharacter = this.#readDirectives();
    const escapeCharacter = this.escapeCharacter === '\\' ? '\\\\' : this.escapeCharacter;
    // A doubled one stands for itself.
    this.#continued = new RegExp(`(^|[^${escapeCharacter}])${escapeCharacter}[ \\t]*$`);
  }

  /** They come before everything else, each once. */
  #readDirectives(): string {
    const seen = new Set<string>();
    let escapeCharacter = '\\';
    for (const [index, line] of this.#physical.entries()) {
      const match = DIRECTIVE.exec(line.replace(/\r$/, ''));
      if (match === null) break;
      const place = { file: this.file, line: index + 1 };
      const [key, value] = [match[1].toLowerCase(), match[2]];
      if (seen.has(key)) throw new DockerfileError(place, `the directive ${key} is given twice`);
      seen.add(key);
      if (key !== 'escape') continue;
      if (value !== '\\' && value !== '`')
        throw new DockerfileError(place, `escape=${value} is not possible`, 'it is \\ or `');
      escapeCharacter = value;
    }
    return escapeCharacter;
  }

  #next(): string | undefined {
    return this.#physical[this.#at++]?.replace(/\r$/, '');
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
    let whole = start;
    while (this.#continued.test(whole)) {
      whole = whole.replace(this.#continued, '$1');
      let next = this.#next();
      while (next !== undefined && /^\s*(#.*)?$/.test(next)) next = this.#next();
      if (next === undefined) break;
      whole += next;
    }
    return whole.trim();
  }

  #compose(place: Place, whole: string): LogicalLine {
    const [, word, rest] = /^(\S+)\s*(.*)$/s.exec(whole)!;
    const keyword = word.toUpperCase();
    const inner = keyword === 'ONBUILD' ? (/^\S+/.exec(rest)?.[0].toUpperCase() ?? '') : keyword;
    const heredocs = WITH_HEREDOCS.has(inner) ? this.#heredocs(place, rest) : [];
    return { place, keyword, rest, heredocs };
  }

  #heredocs(place: Place, rest: string): Heredoc[] {
    if (!rest.includes('<<') || /^\[/.test(rest)) return [];
    const names = splitRaw(rest, this.escapeCharacter).flatMap((word) => heredocName(word) ?? []);
    return names.map(({ name, expands, trims }) => {
      const lines: string[] = [];
      for (let line = this.#next(); ; line = this.#next()) {
        if (line === undefined)
          throw new DockerfileError(
            place,
            `the here-document ${name} has no end`,
            `end it by a line ${name}`,
          );
        const text = trims ? line.replace(/^\t+/, '') : line;
        if (text === name) return { name, expands, content: lines.map((one) => `${one}\n`).join('') };
        lines.push(text);
      }
    });
  }
}

interface HeredocName {
  name: string;
  expands: boolean;
  /** Tabs at the beginning of lines go. */
  trims: boolean;
}

/** Undefined for a word that names no here-document. */
export function heredocName(word: string): HeredocName | undefined {
  const match = HEREDOC.exec(word);
  if (match === null) return undefined;
  return { name: match[3], expands: match[2] === '', trims: match[1] === '-' };
}

/** Throws a DockerfileError for what cannot be taken apart. */
export function readLines(text: string, file: string): Lines {
  if (text.length > LARGEST_FILE)
    throw new DockerfileError({ file, line: 1 }, 'it is larger than any Dockerfile');
  const reader = new LineReader(text, file);
  return { escapeCharacter: reader.escapeCharacter, lines: [...reader.read()] };
}
