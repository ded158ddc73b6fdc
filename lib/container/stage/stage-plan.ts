// SPDX-License-Identifier: MIT
/**
 * What a container's server and a stage say to each other, a JSON line each. A stage is
 * a process that puts itself in a container's place and then becomes the container's
 * program: the end of the channel without a word is the sign that it has. As a tool
 * may stand between the two and have the descriptors of both, the stage makes the
 * channel itself, hands one end over, and says so with a line on STAGE_HELLO.
 */
import type { WireError } from '../../supervise/error-wire.js';
import type { Entry, Launch } from '../runtime/runtime.js';

/** Descriptors of a stage beside the first three. Those over STAGE_HANDOVER are the channel and a terminal's master. */
export const STAGE_HELLO = 3;
export const STAGE_HANDOVER = 4;

/** What one that is prepared waits for. */
export const GO_ON = 'go on\n';

/** The line on STAGE_HELLO. */
export interface StageHello {
  /** As the server sees it. */
  pid: number;
}

export interface StartPlan extends Omit<Launch, 'connect'> {
  kind: 'start';
}

export interface EnterPlan extends Entry {
  kind: 'enter';
}

export type StagePlan = StartPlan | EnterPlan;

/** What a stage says. */
export type StageWord =
  /** It has its network namespace, which can be set up beside what follows. */
  | { kind: 'isolated' }
  /** The master comes over STAGE_HANDOVER. */
  | { kind: 'terminal' }
  /** All but the program is there; it waits for a line. */
  | { kind: 'prepared' }
  /** Exit code 125: the container could not be made, 126: the program could not be run, 127: there is none. */
  | { kind: 'failed'; failure: WireError };
