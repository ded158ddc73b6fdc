// SPDX-License-Identifier: MIT
/** What is mounted for an image. */
import type { Image } from '../../image/store/images.js';
import type { Store } from '../../image/store/store.js';
import type { LayerSet } from '../../overlay/layers/layer-set.js';
import { hasTrustedAttributes } from '../../sys/privilege.js';

/** Its layers, top first. */
export function imageLayers(store: Store, { config }: Image): LayerSet {
  return { lowers: store.lowersOf(config.rootfs.diff_ids), userxattr: !hasTrustedAttributes() };
}
