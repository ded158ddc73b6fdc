// SPDX-License-Identifier: MIT
/** What a build tells of itself while it goes on. */
import type { TransferProgress } from '../../image/transfer/progress.js';

/** One instruction of one stage. */
export interface Step {
  /** From 1, in the order in which they begin. */
  id: number;
  /** The stage's name or number; empty where there is one stage only. */
  stage: string;
  /** From 1, and of how many. */
  number: number;
  total: number;
  /** The instruction as it is written, on one line. */
  text: string;
}

export interface BuildProgress {
  begin(step: Step): void;
  /** What a RUN writes. */
  output(step: Step, bytes: Buffer): void;
  /** `cached`: it was not done again. */
  end(step: Step, how: 'done' | 'cached' | 'failed'): void;
  /** Something that people should know. */
  note(text: string): void;
  /** For an image that is fetched. */
  transfer(): TransferProgress;
}
