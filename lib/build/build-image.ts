// SPDX-License-Identifier: MIT
/** Building, with the locks that keep what is built and find what killed builds have left. */
import { type CreatedImage, writeImage } from '../image/store/create-image.js';
import { StoreLock } from '../image/store/lock.js';
import { sweepStagings } from '../image/store/staging.js';
import type { Store } from '../image/store/store.js';
import { Build, type BuildResult } from './build.js';
import { parseDockerfile } from './language/dockerfile.js';
import { Planner } from './plan/planner.js';
import { squashed } from './squash.js';
import type { BuildOptions } from './stage/options.js';
import { imageConfigOf, type StageState } from './stage/stage-state.js';

export interface BuiltImage extends Omit<BuildResult, 'state'>, CreatedImage {}

export interface ImageWish {
  /** In full; an image without any is kept by its id. */
  names: readonly string[];
  /** All that the build adds becomes one layer. */
  squash: boolean;
}

/** Shared by builds, exclusive while leftovers are looked for. Order: `collection` before it. */
const BUILDS = 'builds';

/** Removes what killed builds have left, unless another build is running. */
async function sweepBuilds(store: Store): Promise<void> {
  using alone = StoreLock.tryTake(store.root, BUILDS, false);
  if (alone === undefined) return;
  const { sweepLeftovers } = await import('./run/leftovers.js');
  await sweepLeftovers(store);
}

/**
 * Builds an image and gives it its names. Throws a DockerfileError for what the
 * Dockerfile has wrong, a StepFailure for a RUN that fails, else an OverlayError;
 * steps that were finished stay in the cache, and nothing else is left.
 */
export async function buildImage(store: Store, options: BuildOptions, wish: ImageWish): Promise<BuiltImage> {
  const { text, file } = options.dockerfile;
  const planner = new Planner(parseDockerfile(text, file), options);
  const plan = planner.plan();
  using _collection = await StoreLock.take(store.root, 'collection', true, options.signal);
  await sweepBuilds(store);
  using _builds = await StoreLock.take(store.root, BUILDS, true, options.signal);
  sweepStagings(store);
  await using build = new Build(store, options, plan, planner);
  const { state, ...figures } = await build.run();
  return { ...figures, ...(await keep(store, state, options.labels, wish)) };
}

async function keep(
  store: Store,
  state: StageState,
  labels: Readonly<Record<string, string>>,
  { names, squash }: ImageWish,
): Promise<CreatedImage> {
  const hasLabels = Object.keys(labels).length > 0;
  const config = hasLabels
    ? { ...state.config, Labels: { ...state.config.Labels, ...labels } }
    : state.config;
  const final = squash ? await squashed(store, { ...state, config }) : { ...state, config };
  const layers = final.layers.map(({ descriptor }) => descriptor);
  return await writeImage(store, imageConfigOf(final), layers, names.length === 0 ? [undefined] : names);
}
