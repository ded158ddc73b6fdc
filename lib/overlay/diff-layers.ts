// SPDX-License-Identifier: MIT
/** What the upper of a set of layers changes, read beside whoever has it mounted. */
import { type Change, diffViews } from './diff.js';
import { type LayerSet, openUnion } from './open.js';

/** Sorted by path; nothing where there is no upper. Throws an OverlayError for layers that cannot be opened. */
export function diffLayers(layers: LayerSet): Change[] {
  const { upper, lowers } = layers;
  if (upper === undefined) return [];
  const beside = { ...layers, work: undefined, readOnly: true };
  const merged = openUnion(beside);
  try {
    const lower = lowers.length === 0 ? undefined : openUnion({ ...beside, upper: undefined });
    try {
      return diffViews(merged, lower, upper);
    } finally {
      lower?.close();
    }
  } finally {
    merged.close();
  }
}
