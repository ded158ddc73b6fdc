// SPDX-License-Identifier: MIT
/** Overlays without a mount, over layers written as shell scripts. */
import type { Test } from 'tap';
import { Overlay } from '../../lib/index.js';
import type { LayerSet } from '../../lib/overlay/layers/layer-set.js';
import { type Layers, makeLayers, scratch, shell } from './ground.js';

export interface Prepared extends Layers {
  base: string;
}

/** Layers in a scratch directory; each script fills one lower, top first. */
export function prepare(t: Test, scripts: readonly string[]): Prepared {
  const base = scratch(t);
  const layers = makeLayers(base, scripts.length);
  for (const [index, script] of scripts.entries()) shell(script, layers.lowers[index]);
  return { ...layers, base };
}

/** Opens an overlay over the layers; closed at the end of the test if it is still open. */
export async function open(
  t: Test,
  { lowers, upper, work }: Layers,
  more: Partial<LayerSet> = {},
): Promise<Overlay> {
  const overlay = await Overlay.open({ lowers, upper, work, ...more });
  let closed = false;
  const close = overlay.close.bind(overlay);
  overlay.close = async () => {
    closed = true;
    await close();
  };
  t.teardown(() => (closed ? undefined : close()));
  return overlay;
}
