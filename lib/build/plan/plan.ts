// SPDX-License-Identifier: MIT
/**
 * What a build will do, as plain data: it can be written as JSON, and nothing has been pulled,
 * opened or run for it. What depends on the image that FROM names (its variables, its ONBUILD
 * triggers) or on content is said to be awaited. Once the image is there, the planner completes a
 * stage; then no word of it is awaited any more.
 */
import type { Platform } from '../../image/model/platform.js';
import type {
  Command,
  ConfigInstruction,
  CopyInstruction,
  FromInstruction,
  WorkdirInstruction,
  Written,
} from '../language/instructions.js';
import type { Heredoc } from '../language/lines.js';
import type { BindMount, CacheMount, SecretMount, TmpfsMount } from '../language/run-mount.js';

/** A word whose variables the image that FROM names may set. */
export interface Awaited {
  written: string;
  /** Names of variables. */
  awaits: string[];
}

/** A word with its variables replaced, where that is possible. */
export type Word = string | Awaited;

/** For what only a plan that is not complete has: `W` is Word there, and string in a complete one. */
type Unless<W, T> = W extends string ? never : T;

/** Where files are read from. */
export type Origin<W = Word> =
  | { kind: 'context' }
  | { kind: 'stage'; stage: number }
  | { kind: 'image'; name: string }
  | Unless<W, { kind: 'awaited'; from: Awaited }>;

/** What a COPY or an ADD reads. */
export type Source<W = Word> =
  | { kind: 'path'; origin: Origin<W>; path: W }
  | { kind: 'url'; url: string }
  /** A here-document, which becomes a file of its name. */
  | { kind: 'document'; name: string; content: W }
  /** A path or a URL. */
  | Unless<W, { kind: 'awaited'; source: Awaited }>;

/** A directory or file of `origin`. */
export type PlannedBind<W = Word> = BindMount & { origin: Origin<W> };

/** Filled from `origin` when it is new. */
export type PlannedCache<W = Word> = CacheMount & { origin: Origin<W> | undefined };

/** What a RUN has mounted. */
export type PlannedMount<W = Word> =
  | PlannedBind<W>
  | PlannedCache<W>
  | TmpfsMount
  | SecretMount
  | Unless<W, { type: 'awaited'; fields: [name: string, value: Word][]; origin: Origin<W> | undefined }>;

/** A part of a step's cache key: a JSON value, in which `{ awaits: NAME }` stands for what is known when the step is executed. */
export type KeyPart = unknown;

interface Keyed {
  /** What the key of the step's layer is made of (stage/keys.ts). */
  key: KeyPart[];
}

export interface RunStep<W = Word> extends Written, Keyed {
  kind: 'RUN';
  /** With its here-documents. */
  command: Command;
  /** Here-documents that are programs themselves. */
  scripts: Heredoc[];
  network: 'default' | 'none' | 'host';
  /** ARGs that it sees, by name; those that ENV hides are left out where that is known. */
  arguments: [name: string, value: W][];
  mounts: PlannedMount<W>[];
}

export interface CopyStep<W = Word> extends Omit<CopyInstruction<W>, 'sources' | 'heredocs'>, Keyed {
  /** In the order in which they are copied. */
  sources: Source<W>[];
}

export interface WorkdirStep<W = Word> extends WorkdirInstruction<W>, Keyed {}

/** A step that makes a layer, or that changes the configuration alone. */
export type Step<W = Word> = RunStep<W> | CopyStep<W> | WorkdirStep<W> | ConfigInstruction<W>;

/** What a stage begins with. */
export type Base =
  | { kind: 'scratch' }
  | { kind: 'stage'; stage: number }
  /** `hint` is said where there is no such image. */
  | { kind: 'image'; name: string; hint: string | undefined };

export interface StagePlan<W = Word> {
  index: number;
  /** In small letters; its number where it has none. */
  name: string;
  from: FromInstruction;
  base: Base;
  /** Of the image; undefined for this machine's. */
  platform: Platform | undefined;
  /** Triggers of the base, as far as they are known, then its own instructions. */
  steps: Step<W>[];
  /** Stages that must be there before it is, ascending. */
  needs: number[];
  /** `--build-arg`s that it has asked for. */
  asks: string[];
  /** ARGs at its end, which a stage that is built on it has, too. */
  arguments: [name: string, value: W][];
}

export interface BuildPlan {
  file: string;
  /** The stage that is wanted. */
  target: number;
  /** The target and what it needs, by index. */
  stages: StagePlan[];
  /** How many the Dockerfile has. */
  stageCount: number;
  /** `--build-arg`s that ARGs before the first FROM have asked for. */
  asks: string[];
  /** Whether there is a `check` directive. */
  hasChecks: boolean;
}

/** What a plan depends on besides the Dockerfile. */
export interface PlanRequest {
  /** The stage that is wanted; default the last. */
  target: string | undefined;
  /** `--build-arg`, by name. */
  args: ReadonlyMap<string, string>;
  /** Of the image; undefined for this machine's. */
  platform: Platform | undefined;
  /** Of RUN steps that do not say. */
  network: 'default' | 'none' | 'host';
  /** `NAME:ADDRESS` */
  extraHosts: readonly string[];
}
