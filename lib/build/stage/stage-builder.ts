// SPDX-License-Identifier: MIT
/** Builds one stage: its instructions in order, each from the state that the one before left. */
import { OverlayError } from '../../base/errors.js';
import { DEFAULT_PATH } from '../../container/spec/defaults.js';
import type { Digest } from '../../image/model/digest.js';
import type { RunConfig } from '../../image/model/image-config.js';
import { creationTime } from '../../image/store/create-image.js';
import { findStep, keepStep, type StepRecord } from '../../image/store/step-cache.js';
import type { Stage } from '../language/dockerfile.js';
import { DockerfileError } from '../language/failure.js';
import type {
  CopyInstruction,
  Instruction,
  RunInstruction,
  ValueInstruction,
} from '../language/instructions.js';
import { parseTriggers } from '../language/parse.js';
import { type GlobalArguments, StageVariables } from '../plan/arguments.js';
import { configure, resolvePath } from './configure.js';
import { makeCopy } from './copy-step.js';
import { StepError, StepFailure } from './failure.js';
import type { Step } from './progress.js';
import { makeRun } from './run-instruction.js';
import { configured, layered, type StageState } from './stage-state.js';
import type { LayerStep, StepHost, StepSetting } from './step.js';
import { makeWorkingDirectory } from './working-directory.js';

/** What a stage uses of its build. */
export interface StageHost extends StepHost {
  readonly globals: GlobalArguments;
  readonly escapeCharacter: string;
  newStep(stage: Stage, number: number, total: number, text: string): Step;
  /** Steps of the images of `--cache-from`. */
  imported(): Promise<ReadonlyMap<Digest, StepRecord>>;
  /** Said where a RUN will be done: its server can start beforehand. */
  expectRun(): Promise<void>;
}

export class StageBuilder {
  /** Steps whose layer the cache had. */
  cachedSteps = 0;
  readonly variables: StageVariables;
  #hasCommand = false;
  /** Of the step that goes on; FROM is the first. */
  #number = 0;
  #instructions: readonly Instruction[] = [];

  constructor(
    private readonly build: StageHost,
    private readonly stage: Stage,
    /** Of the stage that FROM names. */
    base?: StageBuilder,
  ) {
    this.variables = new StageVariables(build.globals, build.escapeCharacter, base?.variables);
  }

  /** From what FROM says, which `open` gets, to the last instruction. */
  async run(open: () => Promise<StageState>): Promise<StageState> {
    this.#instructions = this.stage.instructions;
    const base = await this.#step(this.stage.from, async () => ({ state: await open(), how: 'done' }));
    const { OnBuild: triggers = [], ...config } = base.config as RunConfig & { OnBuild?: string[] };
    this.#instructions = [...parseTriggers(triggers, this.stage.from.image), ...this.stage.instructions];
    let state: StageState = { ...base, config: withPath(config) };
    for (const instruction of this.#instructions) {
      this.build.signal.throwIfAborted();
      state = await this.#step(instruction, (step) => this.#apply(state, instruction, step));
    }
    return state;
  }

  async #step(
    { place, text }: Pick<Instruction, 'place' | 'text'>,
    work: (step: Step) => Promise<{ state: StageState; how: 'done' | 'cached' }>,
  ): Promise<StageState> {
    const { progress } = this.build.options;
    const step = this.build.newStep(this.stage, ++this.#number, this.#instructions.length + 1, text);
    progress.begin(step);
    try {
      const { state, how } = await work(step);
      progress.end(step, how);
      return state;
    } catch (failure) {
      progress.end(step, 'failed');
      const isTold = failure instanceof DockerfileError || failure instanceof StepFailure;
      if (isTold || !(failure instanceof OverlayError) || this.build.signal.aborted) throw failure;
      throw new StepError(place, failure);
    }
  }

  async #apply(
    state: StageState,
    instruction: Instruction,
    step: Step,
  ): Promise<{ state: StageState; how: 'done' | 'cached' }> {
    const config = configure(state.config, instruction, this.variables, this.#hasCommand);
    if (instruction.kind === 'CMD') this.#hasCommand = true;
    if (config !== undefined) return { state: configured(state, config, instruction.text), how: 'done' };
    switch (instruction.kind) {
      case 'RUN':
        return this.#layer(state, step, makeRun(this.#setting(state), instruction as RunInstruction));
      case 'COPY':
      case 'ADD':
        return this.#layer(state, step, makeCopy(this.#setting(state), instruction as CopyInstruction));
      case 'WORKDIR':
        return this.#workingDirectory(state, step, instruction);
      default:
        return {
          state: {
            ...configured(state, state.config, instruction.text),
            author: (instruction as ValueInstruction).value,
          },
          how: 'done',
        };
    }
  }

  #setting(state: StageState): StepSetting {
    const { build, stage } = this;
    return { build, stage, state, variables: this.variables };
  }

  async #workingDirectory(
    state: StageState,
    step: Step,
    { place, value }: ValueInstruction,
  ): Promise<{ state: StageState; how: 'done' | 'cached' }> {
    const path = resolvePath(state.config, this.variables.expand(place, value, state.config));
    const moved = { ...state, config: { ...state.config, WorkingDir: path } };
    return this.#layer(moved, step, makeWorkingDirectory(this.#setting(moved), path));
  }

  /** Whether one of the instructions from there on is a RUN; after a step that is not in the cache, it will be done. */
  #runsFrom(index: number): boolean {
    return this.#instructions.slice(index).some(({ kind }) => kind === 'RUN');
  }

  /** The layer of the cache, or a new one. */
  async #layer(
    state: StageState,
    step: Step,
    preparing: LayerStep | Promise<LayerStep>,
  ): Promise<{ state: StageState; how: 'done' | 'cached' }> {
    using prepared = await preparing;
    const { key, createdBy } = prepared;
    const { store, options } = this.build;
    const found = options.noCache
      ? undefined
      : (findStep(store, key) ?? (await this.build.imported()).get(key));
    if (found !== undefined) {
      this.cachedSteps++;
      return {
        state: layered(state, found.layer, { createdBy, created: found.created, key }),
        how: 'cached',
      };
    }
    if (this.#runsFrom(this.#number - 2)) await this.build.expectRun();
    const layer = await prepared.make(step, () => {
      if (this.#runsFrom(this.#number - 1)) void this.build.expectRun();
    });
    if (layer === undefined) return { state: configured(state, state.config, createdBy), how: 'done' };
    const created = creationTime().toISOString();
    keepStep(store, key, { layer, what: createdBy, created });
    return { state: layered(state, layer, { createdBy, created, key }), how: 'done' };
  }
}

/** Every image says where its programs are. */
function withPath(config: RunConfig): RunConfig {
  if ((config.Env ?? []).some((text) => text.startsWith('PATH='))) return config;
  return { ...config, Env: [...(config.Env ?? []), `PATH=${DEFAULT_PATH}`] };
}
