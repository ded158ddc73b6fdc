// SPDX-License-Identifier: MIT
/** What the upper of a set of layers changes, read beside whoever has it mounted. */

import type { LayerSet } from '../layers/layer-set.js';
import { namesByIndex } from '../names/names-by-index.js';
import type { Union } from '../nodes/union.js';
import { openUnion } from '../open/open.js';
import { type Change, diffViews, sorted } from './diff.js';

/** Sorted by path; nothing where there is no upper. Throws an OverlayError for layers that cannot be opened. */
export function diffLayers(layers: LayerSet): Change[] {
  const { upper, lowers } = layers;
  if (upper === undefined) return [];
  const beside = { ...layers, readOnly: true };
  const merged = openUnion(beside);
  try {
    const lower =
      lowers.length === 0 ? undefined : openUnion({ ...beside, upper: undefined, work: undefined });
    try {
      return withNamesByIndex(merged, diffViews(merged, lower, upper));
    } finally {
      lower?.close();
    }
  } finally {
    merged.close();
  }
}

function withNamesByIndex(merged: Union, changes: Change[]): Change[] {
  const known = new Set(changes.map(({ path }) => path));
  const more = namesByIndex(merged).filter((path) => !known.has(path));
  return sorted([...changes, ...more.map((path): Change => ({ kind: 'C', path }))]);
}
