// SPDX-License-Identifier: MIT
/** Building, with the locks that keep what is built and find what killed builds have left. */
import { discardPreparedContainerServer } from '../container/server/client.js';
import { readWholeContainers } from '../container/state/containers.js';
import { discardContainer } from '../container/state/removal.js';
import { type CreatedImage, writeImage } from '../image/create-image.js';
import { sweepStagings } from '../image/staging.js';
import type { Store } from '../image/store.js';
import { StoreLock } from '../image/store-lock.js';
import { Build, type BuildResult } from './build.js';
import type { BuildOptions } from './options.js';
import { sweepSecrets } from './run/run-mounts.js';
import { squashed } from './squash.js';
import { imageConfigOf } from './stage/stage-state.js';

export interface BuiltImage extends Omit<BuildResult, 'state'>, CreatedImage {}

export interface ImageWish {
  /** In full; an image without any is kept by its id. */
  names: readonly string[];
  /** All that the build adds becomes one layer. */
  squash: boolean;
}

/** Held by every build, alone by who looks for leftovers. Order: `collection` before it. */
const BUILDS = 'builds';

/** Containers whose build was killed. */
async function sweepBuilds(store: Store): Promise<void> {
  using alone = StoreLock.tryTake(store.root, BUILDS, false);
  if (alone === undefined) return;
  sweepSecrets();
  for (const { container, config } of readWholeContainers(store))
    if (config.isBuild === true) await discardContainer(container);
}

/**
 * Builds an image and gives it its names. Throws a DockerfileError for what the
 * Dockerfile has wrong, a StepFailure for a RUN that fails, else an OverlayError;
 * steps that were finished stay in the cache, and nothing else is left.
 */
export async function buildImage(store: Store, options: BuildOptions, wish: ImageWish): Promise<BuiltImage> {
  using _collection = await StoreLock.take(store.root, 'collection', true, options.signal);
  await sweepBuilds(store);
  using _builds = await StoreLock.take(store.root, BUILDS, true, options.signal);
  sweepStagings(store);
  using build = new Build(store, options);
  try {
    const { state, ...figures } = await build.run();
    const labels = { ...state.config.Labels, ...options.labels };
    const config =
      Object.keys(options.labels).length === 0 ? state.config : { ...state.config, Labels: labels };
    const labelled = { ...state, config };
    const final = wish.squash ? await squashed(store, labelled) : labelled;
    const names = wish.names.length === 0 ? [undefined] : wish.names;
    const image = await writeImage(
      store,
      imageConfigOf(final),
      final.layers.map(({ descriptor }) => descriptor),
      names,
    );
    return { ...figures, ...image };
  } finally {
    await discardPreparedContainerServer();
  }
}
