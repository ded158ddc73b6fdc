// SPDX-License-Identifier: MIT
/**
 * A build: from a Dockerfile and a context to an image.
 *
 * A stage is built when something asks for it, once; those that nobody asks for are
 * left out, and those that do not wait for each other go on side by side. The store's
 * `collection` lock is shared from the beginning to the end, so that no layer goes.
 */
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { nearestName, OverlayError } from '../base/errors.js';
import type { Digest } from '../image/model/digest.js';
import { hostPlatform, type Platform, parsePlatform } from '../image/model/platform.js';
import { Staging } from '../image/store/staging.js';
import type { StepRecord } from '../image/store/step-cache.js';
import type { Store } from '../image/store/store.js';
import type { LayerSet } from '../overlay/layers/layer-set.js';
import { cachedImports } from './cache-import.js';
import { type Dockerfile, parseDockerfile, type Stage } from './language/dockerfile.js';
import { DockerfileError, type Place } from './language/failure.js';
import { expandWord } from './language/words.js';
import { atPlace, GlobalArguments, platformArguments } from './plan/arguments.js';
import { BaseImages } from './source/base-images.js';
import { layersOfContext } from './source/context.js';
import { DigestMemo } from './source/digest-memo.js';
import { SourceTree } from './source/source-tree.js';
import type { BuildOptions } from './stage/options.js';
import type { Step } from './stage/progress.js';
import { StageBuilder, type StageHost } from './stage/stage-builder.js';
import { emptyState, type StageState, stateOf, viewOf } from './stage/stage-state.js';
import { Turns } from './turns.js';

export interface BuildResult {
  state: StageState;
  steps: number;
  cachedSteps: number;
}

export class Build implements StageHost, AsyncDisposable {
  readonly dockerfile: Dockerfile;
  readonly globals: GlobalArguments;
  readonly #images: BaseImages;
  readonly #stages = new Map<number, Promise<StageState>>();
  /** Those that have begun. */
  readonly #builders = new Map<number, StageBuilder>();
  readonly #failed = new AbortController();
  readonly #signal: AbortSignal;
  readonly #turns = new Turns(Math.max(2, availableParallelism()));
  #scratch: Staging | undefined;
  #contextLayers: LayerSet | undefined;
  #context: SourceTree | undefined;
  #imported: Promise<ReadonlyMap<Digest, StepRecord>> | undefined;
  #servers: typeof import('../container/server/starting.js') | undefined;
  #steps = 0;

  /** Reads the Dockerfile. Throws a DockerfileError. The caller holds the `collection` lock, shared. */
  constructor(
    readonly store: Store,
    readonly options: BuildOptions,
  ) {
    const { text, file } = options.dockerfile;
    this.dockerfile = parseDockerfile(text, file);
    const platforms = platformArguments(
      options.platform ?? hostPlatform(),
      options.target ?? this.dockerfile.stages.at(-1)?.from.name,
    );
    this.globals = new GlobalArguments(options.args, platforms);
    this.#signal = AbortSignal.any([options.signal, this.#failed.signal]);
    this.#images = new BaseImages(store, { ...options, signal: this.#signal });
    this.#declareGlobals();
  }

  #declareGlobals(): void {
    const { globals, escapeCharacter, file } = this.dockerfile;
    for (const { args, line } of globals) {
      for (const pair of args) this.globals.declare({ file, line }, pair, escapeCharacter);
    }
  }

  get escapeCharacter(): string {
    return this.dockerfile.escapeCharacter;
  }

  /** Aborted when the build is interrupted, and when one of its steps has failed. */
  get signal(): AbortSignal {
    return this.#signal;
  }

  /** Builds the wanted stage and what it needs. Nothing of it goes on when this throws. */
  async run(): Promise<BuildResult> {
    let state: StageState;
    try {
      state = await this.#build(this.#target());
    } catch (failure) {
      this.#failed.abort(failure);
      await Promise.allSettled(this.#stages.values());
      // The first failure, and not what others saw when they were ended for it.
      throw this.#failed.signal.reason;
    }
    const { unused, forBuildKit } = this.globals;
    if (unused.length > 0)
      this.options.progress.note(`--build-arg ${unused.join(', ')}: the Dockerfile has no such ARG`);
    if (forBuildKit.length > 0)
      this.options.progress.note(
        `--build-arg ${forBuildKit.join(', ')}: it is for BuildKit, and has no effect here`,
      );
    if (this.dockerfile.hasChecks)
      this.options.progress.note('# check= has no effect: there are no build checks here');
    const cachedSteps = [...this.#builders.values()].reduce((sum, builder) => sum + builder.cachedSteps, 0);
    return { state, steps: this.#steps, cachedSteps };
  }

  #target(): Stage {
    const { stages, file } = this.dockerfile;
    const { target } = this.options;
    if (target === undefined) return stages.at(-1)!;
    const found = this.#findStage(target);
    if (found !== undefined) return found;
    const near = nearestName(
      target,
      stages.map(({ name }) => name),
    );
    throw new OverlayError({
      operation: 'build',
      path: file,
      reason: `there is no stage ${target}`,
      remedy: near === undefined ? 'name stages with FROM … AS NAME' : `did you mean ${near}?`,
    });
  }

  #findStage(name: string): Stage | undefined {
    return this.dockerfile.stages.find(
      (stage) => stage.name === name.toLowerCase() || String(stage.index) === name,
    );
  }

  #build(stage: Stage): Promise<StageState> {
    const running = this.#stages.get(stage.index);
    if (running !== undefined) return running;
    const started = this.#start(stage);
    this.#stages.set(stage.index, started);
    // Every stage that is started is needed: with one that fails the build does.
    started.catch((failure) => this.#failed.abort(failure));
    return started;
  }

  async #start(stage: Stage): Promise<StageState> {
    // What its instructions copy from is built meanwhile.
    for (const name of namesIn(stage)) {
      const needed = this.#findStage(name);
      if (needed !== undefined && needed.index < stage.index) void this.#build(needed);
    }
    const { name, platform } = this.#from(stage);
    const earlier = this.#earlier(stage, name);
    const base = earlier === undefined ? undefined : await this.#build(earlier);
    const builder = new StageBuilder(this, stage, earlier && this.#builders.get(earlier.index));
    this.#builders.set(stage.index, builder);
    return builder.run(async () => base ?? this.#imageState(stage, name, platform));
  }

  /** What FROM names, and for which platform. */
  #from(stage: Stage): { name: string; platform: Platform | undefined } {
    const { place, image, platform: asked } = stage.from;
    const { escapeCharacter } = this.dockerfile;
    const expand = (text: string): string =>
      atPlace(place, () => expandWord(text, this.globals.lookup, escapeCharacter));
    const name = expand(image);
    if (name === '')
      throw new DockerfileError(place, `FROM ${image} is empty`, 'give the ARG a default, or --build-arg');
    const given = asked === undefined ? '' : expand(asked);
    return { name, platform: given === '' ? this.options.platform : parsePlatform(given) };
  }

  /** A stage that stands before the one that names it; undefined for the name of an image. */
  #earlier(stage: Stage, name: string): Stage | undefined {
    const found = this.#findStage(name);
    return found !== undefined && found.index < stage.index ? found : undefined;
  }

  async #imageState(
    stage: Stage,
    name: string,
    platform: Platform | undefined,
    place: Place = stage.from.place,
  ): Promise<StageState> {
    if (name === 'scratch') return emptyState(platform ?? hostPlatform());
    try {
      return stateOf(await this.#images.get(name, platform));
    } catch (cause) {
      if (!(cause instanceof OverlayError)) throw cause;
      throw new DockerfileError(place, this.#explainMissing(stage, name, cause.message));
    }
  }

  /** An image that cannot be had may be meant as a stage that does not stand before. */
  #explainMissing(stage: Stage, name: string, reason: string): string {
    const found = this.#findStage(name);
    if (found === undefined) return reason;
    const { line } = found.from.place;
    const where = found === stage ? 'is this one' : `begins later, in line ${line}`;
    return `the stage ${name} ${where}, and stages cannot wait for each other in a circle; as an image: ${reason}`;
  }

  /** What `--from` names: an earlier stage, by name or number, or an image. */
  async stateOf(stage: Stage, place: Place, from: string): Promise<StageState> {
    const earlier = this.#earlier(stage, from);
    return earlier === undefined
      ? await this.#imageState(stage, from, this.options.platform, place)
      : await this.#build(earlier);
  }

  async layersOf(stage: Stage, place: Place, from: string): Promise<LayerSet> {
    return viewOf(this.store, await this.stateOf(stage, place, from));
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

  newStep(stage: Stage, number: number, total: number, text: string): Step {
    const isOnly = this.dockerfile.stages.length === 1;
    return {
      id: ++this.#steps,
      stage: isOnly ? '' : stage.name,
      number,
      total,
      text: text.replace(/\s+/g, ' '),
    };
  }

  /** Said by who knows that a RUN will be done: its server can start beforehand. */
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

/** What a stage's instructions take files from, as far as it stands there without variables. */
function namesIn({ instructions }: Stage): string[] {
  return instructions.flatMap((instruction) => {
    if (instruction.kind === 'COPY') return instruction.from ?? [];
    if (instruction.kind !== 'RUN') return [];
    return instruction.mounts.flatMap((mount) => mount.text('from') ?? []);
  });
}
