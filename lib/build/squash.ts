// SPDX-License-Identifier: MIT
/** `--squash`: all layers that a build has added as one. */

import { packChanges, packView } from '../image/pack/pack.js';
import { diffImages } from '../image/store/diff-images.js';
import type { Store } from '../image/store/store.js';
import { withParents } from '../overlay/inspect/diff.js';
import { openUnion } from '../overlay/open/open.js';
import { storeStepLayer } from './copy/store-layer.js';
import { HISTORY_COMMENT, layerSetOf, type StageState, viewOf } from './stage/stage-state.js';

/** The caller holds the `collection` lock. */
export async function squashed(store: Store, state: StageState): Promise<StageState> {
  const { layers, inherited, history } = state;
  if (layers.length <= inherited + 1) return state;
  const below = layers.slice(0, inherited);
  const layer = await storeStepLayer(store, changesSince(store, state, below), below);
  const old = history.length - ownEntries(state);
  const created = history.at(-1)?.created;
  const entry = {
    ...(created === undefined ? {} : { created }),
    created_by: 'squash',
    comment: HISTORY_COMMENT,
  };
  const own = history.slice(old).map((one) => ({ ...one, empty_layer: true }));
  return { ...state, layers: [...below, layer], history: [...history.slice(0, old), ...own, entry] };
}

/** How many entries at the end are of the layers that the build has added. */
function ownEntries({ history, layers, inherited }: StageState): number {
  let seen = 0;
  for (let count = 1; count <= history.length; count++) {
    if (history[history.length - count].empty_layer !== true && ++seen === layers.length - inherited)
      return count;
  }
  return history.length;
}

function* changesSince(store: Store, state: StageState, below: StageState['layers']): Generator<Buffer> {
  const after = openUnion(viewOf(store, state));
  const layers = layerSetOf(store, { layers: below });
  const before = layers === undefined ? undefined : openUnion(layers);
  try {
    if (before === undefined) yield* packView(after);
    else yield* packChanges(after, withParents(diffImages(before, after)));
  } finally {
    before?.close();
    after.close();
  }
}
