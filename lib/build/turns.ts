// SPDX-License-Identifier: MIT
/** How many may go on at once. */

export class Turns {
  readonly #waiting: (() => void)[] = [];

  constructor(private free: number) {}

  /** Settles when it is one's turn, which lasts until it is disposed of. */
  async take(): Promise<AsyncDisposable> {
    if (this.free > 0) this.free--;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    return {
      [Symbol.asyncDispose]: async () => {
        const next = this.#waiting.shift();
        if (next === undefined) this.free++;
        else next();
      },
    };
  }
}
