// SPDX-License-Identifier: MIT
/** The pipes of a program's standard streams: our ends, and the program's. */
import { check } from '../../base/errors.js';
import { makePipe } from '../../sys/channels.js';
import { close } from '../../sys/files.js';

export class ProgramEnds {
  readonly ours: { input: number; output: number; errors: number };
  /** Standard input, output and error. */
  readonly theirs: readonly [number, number, number];

  constructor() {
    const pipe = (): [number, number] => {
      return check(makePipe(), { operation: 'make a pipe' });
    };
    const [input, output, errors] = [pipe(), pipe(), pipe()];
    this.ours = { input: input[1], output: output[0], errors: errors[0] };
    this.theirs = [input[0], output[1], errors[1]];
  }

  closeTheirs(): void {
    for (const fd of this.theirs) close(fd);
  }

  closeOurs(): void {
    for (const fd of Object.values(this.ours)) close(fd);
  }
}
