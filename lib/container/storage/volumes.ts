// SPDX-License-Identifier: MIT
/**
 * Volumes: directories of the store that containers share and that outlive them. A new
 * one begins with what the image has at its place, as Docker's do. One without a name
 * goes with its container.
 */
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fromText } from '../../base/bytes.js';
import { UsageError } from '../../base/errors.js';
import { makeShownDirectory, renameUnlessThere, Staging } from '../../image/store/staging.js';
import type { Store } from '../../image/store/store.js';
import type { LayerSet } from '../../overlay/layers/layer-set.js';
import { walk } from '../../overlay/names/walk.js';
import { release } from '../../overlay/nodes/references.js';
import { openUnion } from '../../overlay/open/open.js';
import type { MountRequest } from '../state/config.js';
import { NAME_RULE, RESTRICTED_NAME } from '../state/names.js';
import { fillFromView } from './fill-from-view.js';

/** What -v without a name gives a volume. */
const NAMELESS = /^[0-9a-f]{64}$/;

export function volumePath({ root }: Pick<Store, 'root'>, name: string): string {
  return join(root, 'volumes', name);
}

/** Throws UsageError for what no new volume may be called; one that is there, made when names could be shorter, is used. */
export function checkVolumeName(store: Pick<Store, 'root'>, name: string): void {
  if (RESTRICTED_NAME.test(name) || existsSync(volumePath(store, name))) return;
  throw new UsageError(`${JSON.stringify(name)} cannot be the name of a volume`, NAME_RULE);
}

/** The volume's directory, made where it is missing; `view` is what the container has at its start. */
export function ensureVolume(store: Store, { source, target }: MountRequest, view: LayerSet): string {
  const path = volumePath(store, source);
  if (existsSync(path)) return path;
  mkdirSync(join(store.root, 'volumes'), { recursive: true, mode: 0o755 });
  using staging = Staging.make(store);
  const fresh = join(staging.path, 'volume');
  makeShownDirectory(fresh);
  const union = openUnion({ ...view, readOnly: true });
  try {
    const node = walk(union, fromText(target), true);
    if (typeof node !== 'number') {
      if (node.isDirectory()) fillFromView(union, node, fresh, `volume ${source}`);
      release(union, node);
    }
  } finally {
    union.close();
  }
  // Another container may have been first with a volume of that name: then its is taken.
  renameUnlessThere(fresh, path);
  return path;
}

/** Takes away the volumes without a name among a container's mounts. */
export function removeNamelessVolumes(store: Store, mounts: readonly MountRequest[]): void {
  for (const { type, source } of mounts) {
    const path = volumePath(store, source);
    if (type !== 'volume' || !NAMELESS.test(source) || !existsSync(path)) continue;
    using _removed = Staging.ofRemoved(store, path);
  }
}
