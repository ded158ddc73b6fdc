// SPDX-License-Identifier: MIT
/** `--cache-from`: images that were built here or elsewhere, as a cache: their history has the keys of their steps. */
import { type Digest, isDigest } from '../image/model/digest.js';
import type { Image } from '../image/store/images.js';
import type { StepRecord } from '../image/store/step-cache.js';
import type { Store } from '../image/store/store.js';
import type { BaseImages } from './source/base-images.js';
import { HISTORY_COMMENT } from './stage/stage-state.js';

/** The steps of an image that made a layer, with their keys. */
function stepsOf({ config, manifest }: Image): [Digest, StepRecord][] {
  const made = (config.history ?? []).filter((entry) => entry.empty_layer !== true);
  const { diff_ids: diffIds } = config.rootfs;
  // Some tools write no history, or less than there is.
  if (made.length !== diffIds.length) return [];
  return made.flatMap(({ comment = '', created = '', created_by: what = '' }, index) => {
    const key = comment.startsWith(`${HISTORY_COMMENT} `) ? comment.slice(HISTORY_COMMENT.length + 1) : '';
    if (!isDigest(key)) return [];
    const layer = { diffId: diffIds[index], descriptor: manifest.layers[index] };
    return [[key, { layer, what, created }] as [Digest, StepRecord]];
  });
}

export async function cachedImports(
  store: Store,
  images: BaseImages,
  names: readonly string[],
): Promise<ReadonlyMap<Digest, StepRecord>> {
  const found = await Promise.all(names.map((name) => images.tryGet(name)));
  const steps = found.flatMap((image) => (image === undefined ? [] : stepsOf(image)));
  return new Map(steps.filter(([, { layer }]) => store.hasLayer(layer.diffId)));
}
