// SPDX-License-Identifier: MIT
/** A command in words: what yargs is told, and what the quick reader and the shells' completion go by. */
import type { Options } from 'yargs';

export interface Wording {
  command: string;
  describe: string;
  options: Record<string, Options>;
  examples?: [command: string, what: string][];
}
