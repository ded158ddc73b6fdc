// SPDX-License-Identifier: MIT
/**
 * Layers that may stop answering: a network file system whose server is gone, a dying disk.
 * Before a layer is asked for anything its number is noted in memory that others see, so that
 * who finds the union stuck knows where; a layer that was found so is suspended, and what
 * needs it fails with EIO at once instead of waiting with everything behind it.
 *
 *   i32 layer that was asked last, how many are suspended, one bit for each layer, whether
 *   changes are suspended
 *
 * The upper has a suspension of its own for changes: a file system that takes none any more,
 * because it is frozen or its disk does not answer, mostly goes on reading what it has in memory.
 */
import { EIO, type Errno } from '../../base/errno.js';

/** The number of the upper. */
export const UPPER = 0;

const TOUCHED = 0;
const COUNT = 1;
const BITS = 2;
/** For more layers than a union may have. */
const CHANGES = BITS + 64;
export const LAYER_WATCH_WORDS = CHANGES + 1;

export class LayerWatch {
  constructor(private readonly words: Int32Array) {}

  /** A watch that nobody else looks at. */
  static private(): LayerWatch {
    return new LayerWatch(new Int32Array(LAYER_WATCH_WORDS));
  }

  /** Notes that a layer is about to be asked. Answers 0, or -EIO for one that is suspended. */
  ask(layer: number): Errno {
    this.words[TOUCHED] = layer;
    return this.isNeeded && this.isSuspended(layer) ? -EIO : 0;
  }

  /** Whether any layer is suspended. */
  get isNeeded(): boolean {
    return this.words[COUNT] !== 0;
  }

  /** The layer that was asked last. */
  get last(): number {
    return this.words[TOUCHED];
  }

  isSuspended(layer: number): boolean {
    return (Atomics.load(this.words, BITS + (layer >> 5)) & (1 << (layer & 31))) !== 0;
  }

  suspend(layer: number): void {
    if (this.isSuspended(layer)) return;
    Atomics.or(this.words, BITS + (layer >> 5), 1 << (layer & 31));
    Atomics.add(this.words, COUNT, 1);
  }

  resume(layer: number): void {
    if (!this.isSuspended(layer)) return;
    Atomics.and(this.words, BITS + (layer >> 5), ~(1 << (layer & 31)));
    Atomics.sub(this.words, COUNT, 1);
  }

  /** Whether what would change the upper fails with EIO. */
  get areChangesSuspended(): boolean {
    return Atomics.load(this.words, CHANGES) !== 0;
  }

  set areChangesSuspended(suspended: boolean) {
    Atomics.store(this.words, CHANGES, Number(suspended));
  }
}
