// SPDX-License-Identifier: MIT
/** Carries out the plan of one stage: its steps in order, each from the state that the one before left. */
import { OverlayError } from '../../base/errors.js';
import type { Digest } from '../../image/model/digest.js';
import { creationTime } from '../../image/store/create-image.js';
import { findStep, keepStep, type StepRecord } from '../../image/store/step-cache.js';
import { DockerfileError } from '../language/failure.js';
import type { Written } from '../language/instructions.js';
import type { Step as PlannedStep, StagePlan } from '../plan/plan.js';
import { type CompleteBase, withPath } from '../plan/planner.js';
import { configure, resolvePath } from './configure.js';
import { makeCopy } from './copy-step.js';
import { StepError, StepFailure } from './failure.js';
import type { Step } from './progress.js';
import { makeRun } from './run-instruction.js';
import { configured, layered, type StageState } from './stage-state.js';
import type { LayerStep, StepHost } from './step.js';
import { makeWorkingDirectory } from './working-directory.js';

/** What a stage uses of its build. */
export interface StageHost extends StepHost {
  /** The plan with all that the base tells; stages that it needs are begun. Throws a DockerfileError. */
  complete(index: number, base: CompleteBase): StagePlan<string>;
  newStep(stage: StagePlan, number: number, total: number, text: string): Step;
  /** Steps of the images of `--cache-from`. */
  imported(): Promise<ReadonlyMap<Digest, StepRecord>>;
  /** Said where a RUN will be done: its server can start beforehand. */
  expectRun(): Promise<void>;
}

/** A stage that is done. */
export interface BuiltStage {
  state: StageState;
  /** Its ARGs. */
  arguments: StagePlan<string>['arguments'];
  /** `--build-arg`s that it has asked for. */
  asks: readonly string[];
  /** How many of its layers the cache had. */
  cachedSteps: number;
}

interface StepOutcome {
  state: StageState;
  how: 'done' | 'cached';
}

export class StageBuilder {
  #cachedSteps = 0;
  #hasCommand = false;

  constructor(
    private readonly build: StageHost,
    private readonly planned: StagePlan,
    /** Of the stage that FROM names. */
    private readonly inherited: BuiltStage['arguments'] = [],
  ) {}

  /** From what FROM says, which `open` gets, to the last instruction. */
  async run(open: () => Promise<StageState>): Promise<BuiltStage> {
    const { index, from, steps: known } = this.planned;
    const base = await this.#step(1, known.length + 1, from, async () => ({
      state: await open(),
      how: 'done',
    }));
    const begin: CompleteBase['config'] = withPath(base.config);
    const complete = this.build.complete(index, { config: begin, arguments: this.inherited });
    const { steps, asks } = complete;
    // Its triggers are done here, and are not those of what is built.
    const { OnBuild: _, ...config } = begin;
    let state: StageState = { ...base, config };
    for (const [at, step] of steps.entries()) {
      this.build.signal.throwIfAborted();
      const isRunAhead = steps.slice(at + 1).some(({ kind }) => kind === 'RUN');
      state = await this.#step(at + 2, steps.length + 1, step, (shown) =>
        this.#apply(state, step, { shown, isRunAhead }),
      );
    }
    return { state, arguments: complete.arguments, asks, cachedSteps: this.#cachedSteps };
  }

  async #step(
    number: number,
    total: number,
    { place, text }: Written,
    work: (shown: Step) => Promise<StepOutcome>,
  ): Promise<StageState> {
    const { progress } = this.build.options;
    const shown = this.build.newStep(this.planned, number, total, text);
    progress.begin(shown);
    try {
      const { state, how } = await work(shown);
      progress.end(shown, how);
      return state;
    } catch (failure) {
      progress.end(shown, 'failed');
      const isTold = failure instanceof DockerfileError || failure instanceof StepFailure;
      if (isTold || !(failure instanceof OverlayError) || this.build.signal.aborted) throw failure;
      throw new StepError(place, failure);
    }
  }

  async #apply(state: StageState, step: PlannedStep<string>, turn: StepTurn): Promise<StepOutcome> {
    const setting = { build: this.build, state };
    switch (step.kind) {
      case 'RUN':
        return this.#layer(state, { ...turn, isRun: true }, makeRun(setting, step));
      case 'COPY':
      case 'ADD':
        return this.#layer(state, turn, makeCopy(setting, step));
      case 'WORKDIR': {
        const path = resolvePath(state.config, step.value);
        const moved = { ...state, config: { ...state.config, WorkingDir: path } };
        return this.#layer(moved, turn, makeWorkingDirectory({ build: this.build, state: moved }, step));
      }
      case 'MAINTAINER':
        return {
          state: { ...configured(state, state.config, step.text), author: step.value },
          how: 'done',
        };
      default: {
        const config = configure(state.config, step, this.#hasCommand);
        if (step.kind === 'CMD') this.#hasCommand = true;
        return { state: configured(state, config, step.text), how: 'done' };
      }
    }
  }

  /** The layer of the cache, or a new one. */
  async #layer(
    state: StageState,
    { shown, isRun = false, isRunAhead }: StepTurn,
    preparing: LayerStep | Promise<LayerStep>,
  ): Promise<StepOutcome> {
    using prepared = await preparing;
    const { key, createdBy } = prepared;
    const { store, options } = this.build;
    const found = options.noCache
      ? undefined
      : (findStep(store, key) ?? (await this.build.imported()).get(key));
    if (found !== undefined) {
      this.#cachedSteps++;
      return {
        state: layered(state, found.layer, { createdBy, created: found.created, key }),
        how: 'cached',
      };
    }
    // After a step that is not in the cache, all that follow will be done.
    if (isRun || isRunAhead) await this.build.expectRun();
    const layer = await prepared.make(shown, () => {
      if (isRunAhead) void this.build.expectRun();
    });
    if (layer === undefined) return { state: configured(state, state.config, createdBy), how: 'done' };
    const created = creationTime().toISOString();
    keepStep(store, key, { layer, what: createdBy, created });
    return { state: layered(state, layer, { createdBy, created, key }), how: 'done' };
  }
}

/** A step among others. */
interface StepTurn {
  shown: Step;
  isRun?: boolean;
  /** Whether one of those after it is a RUN. */
  isRunAhead: boolean;
}
