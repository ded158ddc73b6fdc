// SPDX-License-Identifier: MIT
/**
 * How far archives may inflate. A few KB can hold terabytes; what an archive has beside its files
 * (headers, what comes after its end, what is compressed in between) counts nowhere else.
 */
import { OverlayError } from '../../base/errors.js';

export class ByteBound {
  #passed = 0;

  constructor(
    private readonly limit: number,
    private readonly what: string,
  ) {}

  /** Throws an OverlayError once more than the limit has passed. */
  pass(bytes: number): void {
    this.#passed += bytes;
    if (this.#passed <= this.limit) return;
    throw new OverlayError({
      operation: 'unpack',
      path: this.what,
      reason: `the archive is larger than ${this.limit} bytes`,
      remedy: 'raise the limit with --max-layer-size',
    });
  }
}
