// SPDX-License-Identifier: MIT
/** Descriptors that a keeper is to hold, in the order in which it hands them on, and where they are for who has been handed them. */
import { FIRST_HELD_FD } from '../../mount/keeper.js';

export class HeldList {
  readonly descriptors: number[] = [];

  /** Answers the number that it has for the next server. */
  add(fd: number): number {
    this.descriptors.push(fd);
    return FIRST_HELD_FD + this.descriptors.length - 1;
  }
}
