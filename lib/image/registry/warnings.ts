// SPDX-License-Identifier: MIT
/** What a registry wants people to know though it does what it is asked (distribution-spec, "Warnings"; RFC 7234, 5.5). */
import { oneLine } from './answer.js';

/** That code is for words to people; the others are caches' notes on how fresh an answer is. */
const WARNING = /(?:^|,)\s*(\d{3})\s+(?:[^\s,"]+)\s+"((?:[^"\\]|\\.)*)"/g;
const FOR_PEOPLE = '299';
/** In bytes, of all together: the specification allows as many. */
const MOST_WORDS = 4096;

/** The texts of a Warning header, or of several joined by commas. */
export function parseWarnings(header: string): string[] {
  return (
    [...header.matchAll(WARNING)]
      .filter(([, code]) => code === FOR_PEOPLE)
      // Node gives the bytes of headers as Latin-1; what is written today is UTF-8.
      .map(([, , text]) => oneLine(Buffer.from(text.replace(/\\(.)/g, '$1'), 'latin1').toString('utf8')))
      .filter((text) => text !== '')
  );
}

/** Passes each warning on once. Nothing else follows from one: the specification forbids it. */
export class Warnings {
  readonly #known = new Set<string>();
  #room = MOST_WORDS;

  constructor(private readonly people: { note(message: string): void }) {}

  take(host: string, header: string | undefined): void {
    for (const text of parseWarnings(header ?? '')) {
      const warning = `${host} warns: ${text}`;
      if (this.#known.has(warning) || text.length > this.#room) continue;
      this.#known.add(warning);
      this.#room -= text.length;
      this.people.note(warning);
    }
  }
}
