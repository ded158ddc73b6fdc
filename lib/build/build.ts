// SPDX-License-Identifier: MIT
/**
 * A build: carries a plan out.
 *
 * A stage is built when something asks for it, once, and those that do not wait for each
 * other go on side by side. The store's `collection` lock is shared from the beginning to
 * the end, so that no layer goes.
 */
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { OverlayError } from '../base/errors.js';
import type { Digest } from '../image/model/digest.js';
import { hostPlatform, type Platform } from '../image/model/platform.js';
import { Staging } from '../image/store/staging.js';
import type { StepRecord } from '../image/store/step-cache.js';
import type { Store } from '../image/store/store.js';
import type { LayerSet } from '../overlay/layers/layer-set.js';
import { cachedImports } from './cache-import.js';
import { DockerfileError, type Place } from './language/failure.js';
import { unusedArguments } from './plan/arguments.js';
import type { BuildPlan, StagePlan } from './plan/plan.js';
import type { CompleteBase } from './plan/planner.js';
import { BaseImages } from './source/base-images.js';
import { layersOfContext } from './source/context.js';
import { DigestMemo } from './source/digest-memo.js';
import { SourceTree } from './source/source-tree.js';
import type { BuildOptions } from './stage/options.js';
import type { Step } from './stage/progress.js';
import { type BuiltStage, StageBuilder, type StageHost } from './stage/stage-builder.js';
import { emptyState, type StageState, stateOf } from './stage/stage-state.js';
import type { BuiltOrigin } from './stage/step.js';
import { Turns } from './turns.js';

export interface BuildResult {
  state: StageState;
  steps: number;
  cachedSteps: number;
}

/** Plans a stage again when more is known of it. */
export interface StagePlanner {
  /** A stage that the plan does not have, as a trigger of an image may name one. */
  stage(index: number): StagePlan;
  complete(index: number, base: CompleteBase): StagePlan<string>;
}

export class Build implements StageHost, AsyncDisposable {
  readonly #images: BaseImages;
  readonly #stages = new Map<number, Promise<BuiltStage>>();
  readonly #failed = new AbortController();
  readonly #signal: AbortSignal;
  readonly #turns = new Turns(Math.max(2, availableParallelism()));
  #scratch: Staging | undefined;
  #contextLayers: LayerSet | undefined;
  #context: SourceTree | undefined;
  #imported: Promise<ReadonlyMap<Digest, StepRecord>> | undefined;
  #servers: typeof import('../container/server/starting.js') | undefined;
  #steps = 0;

  /** The caller holds the `collection` lock, shared. */
  constructor(
    readonly store: Store,
    readonly options: BuildOptions,
    private readonly plan: BuildPlan,
    private readonly planner: StagePlanner,
  ) {
    this.#signal = AbortSignal.any([options.signal, this.#failed.signal]);
    this.#images = new BaseImages(store, { ...options, signal: this.#signal });
  }

  /** Aborted when the build is interrupted, and when one of its steps has failed. */
  get signal(): AbortSignal {
    return this.#signal;
  }

  /** Builds the wanted stage and what it needs. Nothing of it goes on when this throws. */
  async run(): Promise<BuildResult> {
    try {
      const { state } = await this.#build(this.plan.target);
      const built = await Promise.all(this.#stages.values());
      this.#tellUnused(built.flatMap(({ asks }) => asks));
      const cachedSteps = built.reduce((sum, stage) => sum + stage.cachedSteps, 0);
      return { state, steps: this.#steps, cachedSteps };
    } catch (failure) {
      this.#failed.abort(failure);
      await Promise.allSettled(this.#stages.values());
      // The first failure, and not what others saw when they were ended for it.
      throw this.#failed.signal.reason;
    }
  }

  #tellUnused(asks: readonly string[]): void {
    const { args, progress } = this.options;
    const { unknown, forBuildKit } = unusedArguments(args, [...this.plan.asks, ...asks]);
    if (unknown.length > 0)
      progress.note(`--build-arg ${unknown.join(', ')}: the Dockerfile has no such ARG`);
    if (forBuildKit.length > 0)
      progress.note(`--build-arg ${forBuildKit.join(', ')}: it is for BuildKit, and has no effect here`);
    if (this.plan.hasChecks) progress.note('# check= has no effect: there are no build checks here');
  }

  #build(index: number): Promise<BuiltStage> {
    const running = this.#stages.get(index);
    if (running !== undefined) return running;
    const planned = this.plan.stages.find((stage) => stage.index === index) ?? this.planner.stage(index);
    const started = this.#start(planned);
    this.#stages.set(index, started);
    // Every stage that is started is needed: with one that fails the build does.
    started.catch((failure) => this.#failed.abort(failure));
    return started;
  }

  async #start(planned: StagePlan): Promise<BuiltStage> {
    this.#begin(planned.needs);
    const { base } = planned;
    const earlier = base.kind === 'stage' ? await this.#build(base.stage) : undefined;
    return new StageBuilder(this, planned, earlier?.arguments).run(
      async () => earlier?.state ?? this.#openBase(planned),
    );
  }

  /** What FROM names, where that is no stage. */
  #openBase({ base, platform, from }: StagePlan): Promise<StageState> | StageState {
    return base.kind === 'image'
      ? this.#imageState(base, platform, from.place)
      : emptyState(platform ?? hostPlatform());
  }

  /** What a stage needs is built while it gets there. */
  #begin(needs: readonly number[]): void {
    for (const index of needs) void this.#build(index);
  }

  complete(index: number, base: CompleteBase): StagePlan<string> {
    const planned = this.planner.complete(index, base);
    this.#begin(planned.needs);
    return planned;
  }

  async #imageState(
    { name, hint }: { name: string; hint?: string | undefined },
    platform: Platform | undefined,
    place: Place,
  ): Promise<StageState> {
    try {
      return stateOf(await this.#images.get(name, platform));
    } catch (cause) {
      if (!(cause instanceof OverlayError)) throw cause;
      // An image that cannot be had may be meant as a stage that does not stand before.
      const reason = hint === undefined ? cause.message : `${hint}; as an image: ${cause.message}`;
      throw new DockerfileError(place, reason);
    }
  }

  async stateOf(origin: BuiltOrigin, place: Place): Promise<StageState> {
    if (origin.kind === 'stage') return (await this.#build(origin.stage)).state;
    const { platform } = this.options;
    if (origin.name === 'scratch') return emptyState(platform ?? hostPlatform());
    return await this.#imageState(origin, platform, place);
  }

  contextLayers(): LayerSet {
    this.#contextLayers ??= layersOfContext(this.options.context, () => this.#scratchPath('ignored'));
    return this.#contextLayers;
  }

  async context(): Promise<SourceTree> {
    this.#context ??= this.#openContext();
    return this.#context;
  }

  #openContext(): SourceTree {
    const memo = new DigestMemo(this.store, this.options.context.directory);
    return new SourceTree(this.contextLayers(), 'the context', false, memo);
  }

  #scratchPath(name: string): string {
    this.#scratch ??= Staging.make(this.store);
    return join(this.#scratch.path, name);
  }

  /** Steps of the images of `--cache-from`. */
  imported(): Promise<ReadonlyMap<Digest, StepRecord>> {
    this.#imported ??= cachedImports(this.store, this.#images, this.options.cacheFrom);
    return this.#imported;
  }

  /** Waits until one more program may run. */
  turn(): Promise<AsyncDisposable> {
    return this.#turns.take();
  }

  newStep({ name }: StagePlan, number: number, total: number, text: string): Step {
    return {
      id: ++this.#steps,
      stage: this.plan.stageCount === 1 ? '' : name,
      number,
      total,
      text: text.replace(/\s+/g, ' '),
    };
  }

  async expectRun(): Promise<void> {
    this.#servers ??= await import('../container/server/starting.js');
    this.#servers.prepareContainerServer();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#context?.memo?.save();
    this.#context?.[Symbol.dispose]();
    this.#scratch?.[Symbol.dispose]();
    await this.#servers?.discardPreparedContainerServer();
  }
}
