// SPDX-License-Identifier: MIT
/** What is asked of a build. */
import type { Platform } from '../../image/model/platform.js';
import type { Context } from '../source/context.js';
import type { Secret } from '../source/secret.js';
import type { BuildProgress } from './progress.js';

export interface BuildOptions {
  context: Context;
  /** The Dockerfile's text, and its path for messages. */
  dockerfile: { text: string; file: string };
  /** The stage that is wanted; default the last. */
  target: string | undefined;
  /** `--build-arg`, by name. */
  args: ReadonlyMap<string, string>;
  labels: Readonly<Record<string, string>>;
  secrets: ReadonlyMap<string, Secret>;
  /** Of the image; undefined for this machine's. */
  platform: Platform | undefined;
  /** Images whose layers may be used instead of making them. */
  cacheFrom: readonly string[];
  /** Every step is done again. */
  noCache: boolean;
  /** Base images are looked up in their registries, whether they are there or not. */
  pull: boolean;
  /** Of RUN steps that do not say: `default`, `none` or `host`. */
  network: 'default' | 'none' | 'host';
  /** `NAME:ADDRESS` */
  extraHosts: readonly string[];
  progress: BuildProgress;
  signal: AbortSignal;
}
