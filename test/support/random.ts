// SPDX-License-Identifier: MIT
/** The one generator of random numbers of the tests: the same seed gives the same numbers (mulberry32). */
import type { Test } from 'tap';

export class Random {
  #state: number;

  constructor(readonly seed: number) {
    this.#state = seed >>> 0;
  }

  /** From an environment variable, or a new one; the seed is printed. */
  static of(t: Test, variable = 'FUZZ_SEED'): Random {
    const seed = Number(process.env[variable] ?? Math.floor(Math.random() * 2 ** 31));
    t.comment(`${variable}=${seed}`);
    return new Random(seed);
  }

  /** From 0 up to, but without, 1. */
  fraction(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let value = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    value ^= value + Math.imul(value ^ (value >>> 7), value | 61);
    return ((value ^ (value >>> 14)) >>> 0) / 2 ** 32;
  }

  /** A whole number from 0 up to, but without, the limit. */
  below(limit: number): number {
    return Math.floor(this.fraction() * Math.max(1, limit));
  }

  chance(percent: number): boolean {
    return this.below(100) < percent;
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)];
  }
}
