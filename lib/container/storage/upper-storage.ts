// SPDX-License-Identifier: MIT
/** What the drivers share whose changes lie in an upper, in overlayfs's format. */
import { join } from 'node:path';
import type { Rewrite } from '../../image/pack/node.js';
import { packUpper } from '../../image/pack/pack.js';
import type { Change } from '../../overlay/inspect/diff.js';
import { diffLayers } from '../../overlay/inspect/diff-layers.js';
import type { LayerSet } from '../../overlay/layers/layer-set.js';
import { openUnion } from '../../overlay/open/open.js';
import { hasTrustedAttributes } from '../../sys/privilege.js';
import type { ContainerPlace } from './storage-driver.js';

/** The image's layers, top first. */
export function imagePaths({ store, image }: ContainerPlace): string[] {
  return store.lowersOf(image.layers);
}

/** What is mounted. */
export function writableLayers(place: ContainerPlace): LayerSet & { upper: string; work: string } {
  return {
    lowers: imagePaths(place),
    upper: join(place.directory, 'upper'),
    work: join(place.directory, 'work'),
    userxattr: !hasTrustedAttributes(),
    // What is packed into an image, by us or by others, is the upper alone; Docker mounts it so too.
    index: false,
  };
}

/** The same to be read beside a mount. */
export function readableLayers(place: ContainerPlace): LayerSet & { upper: string } {
  const { lowers, upper, userxattr, index } = writableLayers(place);
  return { lowers, upper, userxattr, index, readOnly: true };
}

export function changesInUpper(place: ContainerPlace): Change[] {
  return diffLayers(readableLayers(place));
}

export function* packChangesInUpper(place: ContainerPlace, rewrite?: Rewrite): Generator<Buffer> {
  const union = openUnion(readableLayers(place));
  try {
    yield* packUpper(union, rewrite);
  } finally {
    union.close();
  }
}
