// SPDX-License-Identifier: MIT
/**
 * Variables of one stage: ARG and ENV (Dockerfile reference, "ARG"). What ENV sets hides an ARG of
 * the same name. An image may set any variable, so that before it is there only those are known
 * that ENV has set since.
 */
import type { Place } from '../language/failure.js';
import type { NamedValue } from '../language/instructions.js';
import { atPlace, expandDocument, expandWord, expandWords, type Lookup } from '../language/words.js';
import type { GlobalArguments } from './arguments.js';
import type { Word } from './plan.js';

/** What is taken for a variable that is awaited: syntax is checked with it, and the result is dropped. */
const PLACEHOLDER = 'x';

export interface ScopeContent {
  arguments: Iterable<readonly [name: string, value: Word]>;
  environment: Iterable<readonly [name: string, value: Word]>;
  /** Whether there may be variables in the environment that are not known. Where not, no word is awaited. */
  isOpen: boolean;
}

export class Scope {
  readonly #arguments: Map<string, Word>;
  #environment: Map<string, Word>;
  #isOpen: boolean;
  /** `--build-arg`s that were asked for. */
  readonly asks = new Set<string>();

  constructor(
    private readonly globals: GlobalArguments,
    private readonly escapeCharacter: string,
    content: ScopeContent,
  ) {
    this.#arguments = new Map(content.arguments);
    this.#environment = new Map(content.environment);
    this.#isOpen = content.isOpen;
  }

  get content(): ScopeContent {
    return { arguments: this.#arguments, environment: this.#environment, isOpen: this.#isOpen };
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** Those of ENV, sorted. */
  get environment(): [name: string, value: Word][] {
    return sorted(this.#environment);
  }

  /** ARGs beside those that ENV hides, sorted. */
  get visibleArguments(): [name: string, value: Word][] {
    return sorted(this.#arguments).filter(([name]) => !this.#environment.has(name));
  }

  /**
   * An ARG, and what it is. Its default is not looked at where a value is given; without either it is
   * what stands before the first FROM, and then stays what it was.
   */
  declare(place: Place, { name, value }: NamedValue): Word | undefined {
    const set =
      this.globals.givenFor(name, this.asks) ??
      (value === undefined ? this.globals.inherited(name, this.asks) : this.word(place, value));
    if (set !== undefined) this.#arguments.set(name, set);
    return set;
  }

  /** An ENV. One whose name is awaited may be any. */
  set({ name, value = '' }: NamedValue<Word>): void {
    if (typeof name === 'string') this.#environment.set(name, value);
    else {
      this.#environment = new Map();
      this.#isOpen = true;
    }
  }

  /** Throws a DockerfileError for what is no word, with whatever variables. */
  word(place: Place, text: string): Word {
    return this.#expand(place, text, (lookup) => expandWord(text, lookup, this.escapeCharacter));
  }

  /** The words that one is, by the white space in its variables. */
  words(place: Place, text: string): Word[] {
    const words = this.#expand(place, text, (lookup) => expandWords(text, lookup, this.escapeCharacter));
    return Array.isArray(words) ? words : [words];
  }

  document(place: Place, text: string): Word {
    return this.#expand(place, text, (lookup) => expandDocument(text, lookup));
  }

  #expand<T>(place: Place, written: string, expand: (lookup: Lookup) => T): T | Exclude<Word, string> {
    const awaits = new Set<string>();
    const expanded = atPlace(place, () =>
      expand((name) => {
        const value = this.#look(name);
        if (value === undefined || typeof value === 'string') return value;
        for (const one of value.awaits) awaits.add(one);
        return PLACEHOLDER;
      }),
    );
    return awaits.size === 0 ? expanded : { written, awaits: [...awaits] };
  }

  #look(name: string): Word | undefined {
    const set = this.#environment.get(name);
    if (set !== undefined || !this.#isOpen) return set ?? this.#arguments.get(name);
    return { written: `$${name}`, awaits: [name] };
  }
}

function sorted(variables: ReadonlyMap<string, Word>): [name: string, value: Word][] {
  return [...variables].sort(([a], [b]) => (a < b ? -1 : 1));
}
