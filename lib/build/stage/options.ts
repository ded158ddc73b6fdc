// SPDX-License-Identifier: MIT
/** What is asked of a build. */
import type { PlanRequest } from '../plan/plan.js';
import type { Context } from '../source/context.js';
import type { Secret } from '../source/secret.js';
import type { BuildProgress } from './progress.js';

export interface BuildOptions extends PlanRequest {
  context: Context;
  /** The Dockerfile's text, and its path for messages. */
  dockerfile: { text: string; file: string };
  labels: Readonly<Record<string, string>>;
  secrets: ReadonlyMap<string, Secret>;
  /** Images whose layers may be used instead of making them. */
  cacheFrom: readonly string[];
  /** Every step is done again. */
  noCache: boolean;
  /** Base images are looked up in their registries, whether they are there or not. */
  pull: boolean;
  progress: BuildProgress;
  signal: AbortSignal;
}
