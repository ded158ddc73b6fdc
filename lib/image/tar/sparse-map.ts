// SPDX-License-Identifier: MIT
/** The map of a sparse file in format 1.0: decimal numbers, one a line, up to a whole block (GNU tar's manual, D.3). */
import { BLOCK } from './format.js';

const LINE_FEED = 0x0a;

export class SparseMap {
  readonly #blocks: Buffer[] = [];
  #lines = 0;

  /** Bytes taken. */
  get size(): number {
    return this.#blocks.length * BLOCK;
  }

  /** Takes a block. Answers the numbers when they are there, undefined before that, and null for what is no map. */
  take(block: Buffer): number[] | undefined | null {
    this.#blocks.push(Buffer.from(block));
    for (let at = block.indexOf(LINE_FEED); at >= 0; at = block.indexOf(LINE_FEED, at + 1)) this.#lines++;
    const first = this.#blocks[0];
    const pairs = first.latin1Slice(0, Math.max(first.indexOf(LINE_FEED), 0));
    if (!/^\d+$/.test(pairs)) return null;
    const numbers = 2 * Number(pairs);
    if (this.#lines <= numbers) return undefined;
    const whole = Buffer.concat(this.#blocks);
    return whole
      .latin1Slice(0, whole.length)
      .split('\n')
      .slice(1, 1 + numbers)
      .map(Number);
  }
}
