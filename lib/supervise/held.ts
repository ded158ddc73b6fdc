// SPDX-License-Identifier: MIT
/** What a shim holds for the next server, and where that one finds it. */
/** Where a server that a shim has started has the state, and /dev/fuse where one mount is all that it serves. */
export const STATE_FD = 3;
export const DEVICE_FD = 4;
/** Where it has the first of the others, in the order in which they were handed on. */
export const FIRST_HELD_FD = 10;

/** Descriptors of this process. */
export interface Held {
  state: number;
  /** Undefined where none is held, or among the descriptors. */
  device?: number | undefined;
  descriptors: readonly number[];
}

/** What a server that a shim has started was handed, of `count` descriptors. */
export function handedOver(count: number): readonly number[] {
  return Array.from({ length: count }, (_, position) => FIRST_HELD_FD + position);
}

/** Descriptors to be held, gathered one after the other. */
export class HeldList {
  readonly descriptors: number[] = [];

  /** Answers the number that it has for the next server. */
  add(fd: number): number {
    this.descriptors.push(fd);
    return FIRST_HELD_FD + this.descriptors.length - 1;
  }
}
