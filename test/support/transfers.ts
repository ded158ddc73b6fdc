// SPDX-License-Identifier: MIT
/** Pulls and pushes in the test's own process, into a store of its own: tables of odd answers need many. */
import { join } from 'node:path';
import type { Test } from 'tap';
import { hostPlatform } from '../../lib/image/model/platform.js';
import { parseReference } from '../../lib/image/model/reference.js';
import { findImage } from '../../lib/image/store/images.js';
import { tagImage } from '../../lib/image/store/naming.js';
import { Store } from '../../lib/image/store/store.js';
import { type Pulled, pullImage } from '../../lib/image/transfer/pull.js';
import { pushImage } from '../../lib/image/transfer/push.js';
import { scratch } from './ground.js';

export interface Transfers {
  store: Store;
  pull(name: string, mirrors?: string[]): Promise<Pulled>;
  push(name: string): Promise<string>;
  tag(name: string, other: string): Promise<string>;
  /** What people were told, and how each layer ended. */
  told: string[];
}

export function transfers(t: Test): Transfers {
  const base = scratch(t);
  process.env.DOCKER_CONFIG = join(base, 'docker');
  const store = Store.open(join(base, 'store'));
  const told: string[] = [];
  const progress = {
    start: () => undefined,
    advance: () => undefined,
    done: (_layer: string, how: string) => void told.push(how),
    note: (message: string) => void told.push(message),
  };
  const options = (mirrors: string[]) => ({
    platform: hostPlatform(),
    progress,
    registries: { mirrors, insecure: [] },
  });
  return {
    store,
    told,
    pull: (name, mirrors = []) => pullImage(store, parseReference(name), options(mirrors)),
    push: (name) => pushImage(store, name, options([])),
    tag: (name, other) => tagImage(store, name, other),
  };
}

/** The layers of an image that is in the store, by digest, bottom first. */
export function layersOf({ store }: Transfers, name: string): string[] {
  return findImage(store, name).image.manifest.layers.map(({ digest }) => digest);
}
