// SPDX-License-Identifier: MIT
/**
 * From a Dockerfile to a plan: which stages there must be, in which order, and what each of them
 * does. Nothing is read, pulled or run for it, so that what can be wrong with the text alone is told
 * before anything is done.
 */
import { nearestName, OverlayError } from '../../base/errors.js';
import { DEFAULT_PATH } from '../../container/spec/defaults.js';
import type { RunConfig } from '../../image/model/image-config.js';
import { parsePlatform } from '../../image/model/platform.js';
import { parseReference } from '../../image/model/reference.js';
import { isIdentifier } from '../../image/store/images.js';
import type { Dockerfile, Stage } from '../language/dockerfile.js';
import { DockerfileError, type Place } from '../language/failure.js';
import type { Instruction } from '../language/instructions.js';
import { parseTriggers } from '../language/parse.js';
import { atPlace, expandWord } from '../language/words.js';
import { GlobalArguments } from './arguments.js';
import { expandConfig } from './expand.js';
import { locate } from './locate.js';
import type { Base, BuildPlan, Origin, PlanRequest, StagePlan, Step, Word } from './plan.js';
import { Scope, type ScopeContent } from './scope.js';
import { planCopy, planRun, planWorkdir, type StepContext } from './steps.js';

/** What a stage begins with, once it is there. */
export interface CompleteBase {
  config: RunConfig & { OnBuild?: string[] };
  /** ARGs of the stage that it is. */
  arguments: [name: string, value: string][];
}

/** Of the environment of an image. */
export function environmentOf({ Env: env = [] }: RunConfig): Map<string, string> {
  return new Map(
    env.map((text) => {
      const [, name, value] = /^([^=]*)=?(.*)$/s.exec(text)!;
      return [name, value];
    }),
  );
}

/** Every image says where its programs are. */
export function withPath(config: RunConfig): RunConfig {
  if ((config.Env ?? []).some((text) => text.startsWith('PATH='))) return config;
  return { ...config, Env: [...(config.Env ?? []), `PATH=${DEFAULT_PATH}`] };
}

/** What a stage's first instruction finds. */
interface Begin {
  triggers: readonly string[];
  variables: ScopeContent;
}

/** Where an instruction names a stage. */
interface Reference {
  stage: number;
  place: Place;
}

export class Planner {
  readonly #globals: GlobalArguments;
  readonly #asks = new Set<string>();
  readonly #stages = new Map<number, StagePlan>();
  /** Variables at the end of each stage. */
  readonly #ends = new Map<number, ScopeContent>();
  /** What each stage's instructions name. */
  readonly #references = new Map<number, Reference[]>();

  /** Throws a DockerfileError for an ARG before the first FROM that cannot be expanded. */
  constructor(
    private readonly dockerfile: Dockerfile,
    private readonly request: PlanRequest,
  ) {
    this.#globals = new GlobalArguments(dockerfile, request, this.#asks);
  }

  /** Throws a DockerfileError, or an OverlayError for a target that there is not. */
  plan(): BuildPlan {
    const { file, stages, hasChecks } = this.dockerfile;
    const target = this.#target().index;
    const needed = this.#needed(target);
    const asks = [...this.#asks];
    return { file, target, stages: needed, stageCount: stages.length, asks, hasChecks };
  }

  /** A stage as far as it is known. */
  stage(index: number): StagePlan {
    return this.#stages.get(index) ?? this.#plan(index, this.#beginOf(index));
  }

  /** The same once its base is there. Throws a DockerfileError. */
  complete(index: number, base: CompleteBase): StagePlan<string> {
    const { OnBuild: triggers = [] } = base.config;
    const environment = environmentOf(base.config);
    const variables = { arguments: base.arguments, environment, isOpen: false };
    const plan = this.#plan(index, { triggers, variables });
    // What it turned out to need may wait for it.
    this.#needed(index);
    // Where nothing in the environment is unknown no word is awaited.
    return plan as StagePlan<string>;
  }

  #target(): Stage {
    const { stages, file } = this.dockerfile;
    const { target } = this.request;
    if (target === undefined) return stages.at(-1)!;
    const found = this.#find(target);
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

  #find(name: string): Stage | undefined {
    return this.dockerfile.stages.find(
      (stage) => stage.name === name.toLowerCase() || String(stage.index) === name,
    );
  }

  /** A stage and all that it needs, each after what it needs itself. Throws a DockerfileError for a circle. */
  #needed(target: number): StagePlan[] {
    const needed = new Map<number, StagePlan>();
    const visit = (index: number, waiting: readonly number[]): void => {
      if (needed.has(index)) return;
      const stage = this.stage(index);
      const way = [...waiting, index];
      for (const need of stage.needs) {
        if (way.includes(need)) throw this.#circle(way.slice(way.indexOf(need)));
        visit(need, way);
      }
      needed.set(index, stage);
    };
    visit(target, []);
    return [...needed.values()];
  }

  /** `way`: stages that wait each for the next, and the last of them for the first. */
  #circle(way: readonly number[]): DockerfileError {
    const next = (at: number): number => way[(at + 1) % way.length];
    // FROM leads only back, so that another instruction leads forward.
    const places = way.flatMap((index, at) =>
      this.#references.get(index)!.flatMap(({ stage, place }) => (stage === next(at) ? place : [])),
    );
    const names = [...way, way[0]].map((index) => this.dockerfile.stages[index].name);
    return new DockerfileError(
      places.at(-1)!,
      way.length === 1
        ? `the stage ${names[0]} reads from itself`
        : `stages wait for each other in a circle: ${names.join(' -> ')}`,
      'name another stage, or an image',
    );
  }

  /** What a stage begins with, as far as it is known before anything is executed. */
  #beginOf(index: number): Begin {
    const { base } = this.#from(this.dockerfile.stages[index]);
    switch (base.kind) {
      case 'scratch': {
        const environment = environmentOf(withPath({}));
        return { triggers: [], variables: { arguments: [], environment, isOpen: false } };
      }
      case 'image':
        return { triggers: [], variables: { arguments: [], environment: [], isOpen: true } };
      case 'stage': {
        const { steps } = this.stage(base.stage);
        const triggers = steps.flatMap((step) => (step.kind === 'ONBUILD' ? step.trigger : []));
        return { triggers, variables: this.#ends.get(base.stage)! };
      }
    }
  }

  #plan(index: number, { triggers, variables }: Begin): StagePlan {
    const { escapeCharacter, stages } = this.dockerfile;
    const { from, name, instructions } = stages[index];
    const scope = new Scope(this.#globals, escapeCharacter, variables);
    const { base, platform } = this.#from(stages[index], scope.asks);
    const references: Reference[] = [];
    const context: StepContext = {
      scope,
      request: this.request,
      originOf: ({ place }, word) => this.#originOf(place, word, references),
    };
    const steps = [...parseTriggers(triggers, from.image), ...instructions].map((instruction) =>
      planStep(instruction, context),
    );
    const needs = [...(base.kind === 'stage' ? [base.stage] : []), ...references.map(({ stage }) => stage)];
    const plan: StagePlan = {
      ...{ index, name, from, base, platform, steps },
      needs: [...new Set(needs)].sort((a, b) => a - b),
      asks: [...scope.asks],
      arguments: [...scope.content.arguments].map(([argument, value]) => [argument, value]),
    };
    this.#stages.set(index, plan);
    this.#ends.set(index, scope.content);
    this.#references.set(index, references);
    return plan;
  }

  /** What FROM names, and for which platform; a stage must stand before it. */
  #from(stage: Stage, asks = new Set<string>()): Pick<StagePlan, 'base' | 'platform'> {
    const { place, image, platform: asked } = stage.from;
    const expand = (text: string): string =>
      atPlace(place, () =>
        expandWord(text, (name) => this.#globals.inherited(name, asks), this.dockerfile.escapeCharacter),
      );
    const name = expand(image);
    if (name === '')
      throw new DockerfileError(place, `FROM ${image} is empty`, 'give the ARG a default, or --build-arg');
    const given = asked === undefined ? '' : expand(asked);
    const platform = given === '' ? this.request.platform : parsePlatform(given);
    return { base: this.#baseOf(stage, name), platform };
  }

  #baseOf(stage: Stage, name: string): Base {
    const found = this.#find(name);
    if (found !== undefined && found.index < stage.index) return { kind: 'stage', stage: found.index };
    if (name === 'scratch') return { kind: 'scratch' };
    checkImageName(stage.from.place, name);
    if (found === undefined) return { kind: 'image', name, hint: undefined };
    const where = found === stage ? 'is this one' : `begins later, in line ${found.from.place.line}`;
    const hint = `the stage ${name} ${where}, and stages cannot wait for each other in a circle`;
    return { kind: 'image', name, hint };
  }

  /** What `from` names: any stage of the Dockerfile, by name or number, or an image (BuildKit, toCommand). */
  #originOf(place: Place, from: Word, references: Reference[]): Origin {
    if (typeof from !== 'string') return { kind: 'awaited', from };
    const exact = (): Place => locate(this.dockerfile, place, 'from=', from);
    const found = this.#find(from);
    if (found !== undefined) {
      references.push({ stage: found.index, place: exact() });
      return { kind: 'stage', stage: found.index };
    }
    const last = this.dockerfile.stages.length - 1;
    if (/^\d+$/.test(from))
      throw new DockerfileError(exact(), `there is no stage ${from}`, `they are counted from 0 to ${last}`);
    checkImageName(place, from);
    return { kind: 'image', name: from };
  }
}

/** Throws a DockerfileError for what can be no image. */
function checkImageName(place: Place, name: string): void {
  if (isIdentifier(name)) return;
  try {
    parseReference(name);
  } catch (failure) {
    throw failure instanceof OverlayError ? new DockerfileError(place, failure.message) : failure;
  }
}

function planStep(instruction: Instruction, context: StepContext): Step {
  switch (instruction.kind) {
    case 'RUN':
      return planRun(instruction, context);
    case 'COPY':
    case 'ADD':
      return planCopy(instruction, context);
    case 'WORKDIR':
      return planWorkdir(instruction, context.scope);
    default:
      return expandConfig(instruction, context.scope);
  }
}
