// SPDX-License-Identifier: MIT
/** Clients as a set that can be waited for. */

export class Gathering<T> implements Iterable<T> {
  readonly #members = new Set<T>();
  readonly #lookers = new Set<() => void>();

  get size(): number {
    return this.#members.size;
  }

  [Symbol.iterator](): Iterator<T> {
    return this.#members.values();
  }

  add(member: T): void {
    this.#members.add(member);
    for (const look of this.#lookers) look();
  }

  /** Answers whether it was there. */
  delete(member: T): boolean {
    return this.#members.delete(member);
  }

  /** Settles when there are so many, or after so many milliseconds. */
  reached(count: number, longest: number): Promise<void> {
    if (this.size >= count) return Promise.resolve();
    return new Promise((resolve) => {
      const finish = (): void => {
        clearTimeout(timer);
        this.#lookers.delete(look);
        resolve();
      };
      const look = (): void => {
        if (this.size >= count) finish();
      };
      const timer = setTimeout(finish, longest);
      this.#lookers.add(look);
    });
  }
}
