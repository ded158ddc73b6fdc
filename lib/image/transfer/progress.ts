// SPDX-License-Identifier: MIT
/** How far a pull or a push is; `layer` is its short digest. */
export interface TransferProgress {
  start(layer: string, size: number): void;
  advance(layer: string, bytes: number): void;
  /** `Already exists`, `Pull complete`… */
  done(layer: string, how: string): void;
  /** Something that people should know, such as a mirror that did not answer. */
  note(message: string): void;
}
