// SPDX-License-Identifier: MIT
/** What a stage is after some of its steps: layers, and what will be the image's configuration. */

import { type Digest, digestOf } from '../../image/model/digest.js';
import type { HistoryEntry, ImageConfig, RunConfig } from '../../image/model/image-config.js';
import type { Platform } from '../../image/model/platform.js';
import { creationTime } from '../../image/store/create-image.js';
import { platformOf } from '../../image/store/image-platform.js';
import type { Image } from '../../image/store/images.js';
import type { StepLayer } from '../../image/store/step-cache.js';
import type { Store } from '../../image/store/store.js';
import type { LayerSet } from '../../overlay/layers/layer-set.js';

export interface StageState {
  /** Bottom first. */
  readonly layers: readonly StepLayer[];
  readonly config: RunConfig;
  readonly history: readonly HistoryEntry[];
  readonly author: string | undefined;
  readonly platform: Platform;
  /** How many of the layers are those of the image that FROM names. */
  readonly inherited: number;
}

/** `FROM scratch` */
export function emptyState(platform: Platform): StageState {
  return { layers: [], config: {}, history: [], author: undefined, platform, inherited: 0 };
}

export function stateOf(image: Image): StageState {
  const { config, manifest } = image;
  const { author, history = [] } = config;
  const layers = config.rootfs.diff_ids.map((diffId, index) => ({
    diffId,
    descriptor: manifest.layers[index],
  }));
  return {
    layers,
    config: config.config ?? {},
    history,
    author,
    platform: platformOf(image),
    inherited: layers.length,
  };
}

export function imageConfigOf({ layers, config, history, author, platform }: StageState): ImageConfig {
  const { os, architecture, variant } = platform;
  return {
    created: lastTime(history),
    ...(author === undefined ? {} : { author }),
    architecture,
    os,
    ...(variant === undefined ? {} : { variant }),
    config,
    rootfs: { type: 'layers', diff_ids: layers.map(({ diffId }) => diffId) },
    history: [...history],
  };
}

/** That of the last step that changed something: a build that finds everything in the cache makes the same image again. */
function lastTime(history: readonly HistoryEntry[]): string {
  return history.findLast(({ created }) => created !== undefined)?.created ?? creationTime().toISOString();
}

/** The state with a step that changed the configuration alone. */
export function configured(state: StageState, config: RunConfig, createdBy: string): StageState {
  const created = lastTime(state.history);
  const entry: HistoryEntry = { created, created_by: createdBy, comment: HISTORY_COMMENT, empty_layer: true };
  return { ...state, config, history: [...state.history, entry] };
}

/** The state with one layer more. The key is kept in the history, where `--cache-from` finds it. */
export function layered(
  state: StageState,
  layer: StepLayer,
  { createdBy, created, key }: { createdBy: string; created: string; key: Digest },
): StageState {
  const entry: HistoryEntry = { created, created_by: createdBy, comment: `${HISTORY_COMMENT} ${key}` };
  return { ...state, layers: [...state.layers, layer], history: [...state.history, entry] };
}

/** In the history of what is built here. */
export const HISTORY_COMMENT = 'tsoverlay.build.v1';

/** What the layers are together. */
export function chainOf({ layers }: StageState): Digest {
  return digestOf(layers.map(({ diffId }) => diffId).join(' '));
}

/** Its files; where there are no layers, none. */
export function viewOf(store: Store, { layers }: Pick<StageState, 'layers'>): LayerSet {
  return { lowers: store.lowersOf(layers.map(({ diffId }) => diffId)), readOnly: true };
}

/** What a new layer lies on; undefined where it is the first. */
export function layerSetOf(store: Store, state: Pick<StageState, 'layers'>): LayerSet | undefined {
  return state.layers.length === 0 ? undefined : viewOf(store, state);
}
