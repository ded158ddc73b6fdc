// SPDX-License-Identifier: MIT
/** A step that makes a layer, and what it is given to do so. */
import type { Digest } from '../../image/model/digest.js';
import type { StepLayer } from '../../image/store/step-cache.js';
import type { Store } from '../../image/store/store.js';
import type { LayerSet } from '../../overlay/layers/layer-set.js';
import type { Place } from '../language/failure.js';
import type { Origin } from '../plan/plan.js';
import type { SourceTree } from '../source/source-tree.js';
import type { BuildOptions } from './options.js';
import type { Step } from './progress.js';
import type { StageState } from './stage-state.js';

/** A step that makes a layer, before it is known whether it has to. */
export interface LayerStep extends Disposable {
  key: Digest;
  /** For the history. */
  createdBy: string;
  /** Makes the layer; undefined where there is nothing to be made. `started` is called when a program of it runs. */
  make(step: Step, started: () => void): Promise<StepLayer | undefined>;
}

/** A stage or an image. */
export type BuiltOrigin = Exclude<Origin<string>, { kind: 'context' }>;

/** What a step uses of the build that it belongs to. */
export interface StepHost {
  readonly store: Store;
  readonly options: BuildOptions;
  /** Aborted when the build is interrupted, and when one of its steps has failed. */
  readonly signal: AbortSignal;
  context(): Promise<SourceTree>;
  contextLayers(): LayerSet;
  /** Waits for a stage, or gets an image. Throws a DockerfileError. */
  stateOf(origin: BuiltOrigin, place: Place): Promise<StageState>;
  /** Waits until one more program may run. */
  turn(): Promise<AsyncDisposable>;
}

/** What a step's maker needs of its stage. */
export interface StepSetting {
  build: StepHost;
  state: StageState;
}
