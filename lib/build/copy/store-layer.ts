// SPDX-License-Identifier: MIT
/** An archive of a step becomes a layer of the store. */
import { Readable } from 'node:stream';
import { layerDescriptor } from '../../image/store/create-image.js';
import { storeLayer } from '../../image/store/layers.js';
import type { StepLayer } from '../../image/store/step-cache.js';
import type { Store } from '../../image/store/store.js';

/** `below`: the layers that it lies on, bottom first. The caller holds the `collection` lock. */
export async function storeStepLayer(
  store: Store,
  archive: Iterable<Buffer>,
  below: readonly StepLayer[],
): Promise<StepLayer> {
  const stored = await storeLayer(store, Readable.from(archive, { objectMode: false }), 'the new layer', {
    compress: true,
    below: async () => below.map(({ diffId }) => store.diffPath(diffId)).reverse(),
  });
  return { diffId: stored.diffId, descriptor: layerDescriptor(stored, 'gzip') };
}
