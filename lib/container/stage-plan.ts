// SPDX-License-Identifier: MIT
/**
 * What a container's server and a stage say to each other over descriptor 3, a JSON
 * line each. A stage is a process that puts itself in a container's place and then
 * becomes the container's program: the end of the channel without a word is the
 * sign that it has.
 */
import type { ErrorStory } from '../base/errors.js';
import type { Entry, Launch } from './runtime.js';

/** Descriptors of a stage beside the first three. */
export const STAGE_CHANNEL = 3;
export const STAGE_TERMINAL = 4;

export interface StartPlan extends Omit<Launch, 'connect'> {
  kind: 'start';
  /** The stage says when it has its network namespace, and waits until that is set up. */
  waitsForNetwork: boolean;
}

export interface EnterPlan extends Entry {
  kind: 'enter';
}

export type StagePlan = StartPlan | EnterPlan;

/** What a stage says. */
export type StageWord =
  | { kind: 'isolated' }
  /** The master comes over STAGE_TERMINAL. */
  | { kind: 'terminal' }
  /** `code`: 125 the container could not be made, 126 the program could not be run, 127 there is none. */
  | { kind: 'failed'; story: ErrorStory; code: number };
