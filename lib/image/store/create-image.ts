// SPDX-License-Identifier: MIT
/** Making images here: from an upper on top of an image, from a tree, from an archive of one. */
import { Readable } from 'node:stream';
import { OverlayError } from '../../base/errors.js';
import type { LayerSet } from '../../overlay/layers/layer-set.js';
import { refuseStranded } from '../../overlay/open/index-choice.js';
import { openUnion } from '../../overlay/open/open.js';
import type { Digest } from '../model/digest.js';
import { encodeDocument } from '../model/documents.js';
import type { HistoryEntry, ImageConfig, RunConfig } from '../model/image-config.js';
import {
  type Descriptor,
  type Manifest,
  OCI_CONFIG,
  OCI_LAYER,
  OCI_LAYER_GZIP,
  OCI_MANIFEST,
} from '../model/manifest.js';
import { hostPlatform, type Platform } from '../model/platform.js';
import { packUpper, packView } from '../pack/pack.js';
import { asLayer, type LayerCompression } from '../tar/compression.js';
import { archiveLimit, type UnpackLimits } from '../unpack/unpack.js';
import type { Image } from './images.js';
import { type StoredLayer, storeLayer } from './layers.js';
import { StoreLock } from './lock.js';
import { nameImage } from './naming.js';
import type { Store } from './store.js';

/** What is said of a new image besides its files. */
export interface ImageNotes {
  /** In full; without one it has none. */
  name?: string | undefined;
  author?: string | undefined;
  comment?: string | undefined;
  /** What made it, for the history. */
  createdBy?: string | undefined;
  /** Changes the configuration that containers are started with. */
  configure?: ((config: RunConfig) => RunConfig) | undefined;
  platform?: Platform | undefined;
}

export interface CreatedImage {
  id: Digest;
  manifestDigest: Digest;
}

/** The variable that has seconds since 1970 after which nothing was made (reproducible-builds.org). */
export const SOURCE_DATE_EPOCH = 'SOURCE_DATE_EPOCH';

/** What the variable says, if it is given. */
export function sourceDateEpoch(): number | undefined {
  const epoch = process.env[SOURCE_DATE_EPOCH];
  return epoch !== undefined && /^\d{1,12}$/.test(epoch) ? Number(epoch) : undefined;
}

/** When an image is made: the epoch that is given, or now. */
export function creationTime(): Date {
  const epoch = sourceDateEpoch();
  return epoch === undefined ? new Date() : new Date(epoch * 1000);
}

export function layerDescriptor({ digest, size }: StoredLayer, compression: LayerCompression): Descriptor {
  const mediaType = { none: OCI_LAYER, gzip: OCI_LAYER_GZIP, zstd: `${OCI_LAYER}+zstd` }[compression];
  return { mediaType, digest, size };
}

/** A configuration that shares nothing with the base's and has no more than it needs. */
function compose(base: Image | undefined, layer: StoredLayer, notes: ImageNotes): ImageConfig {
  const created = creationTime().toISOString();
  const step: HistoryEntry = {
    created,
    ...(notes.createdBy === undefined ? {} : { created_by: notes.createdBy }),
    ...(notes.author === undefined ? {} : { author: notes.author }),
    ...(notes.comment === undefined ? {} : { comment: notes.comment }),
  };
  const before = base?.config;
  const { os, architecture, variant } = notes.platform ?? before ?? hostPlatform();
  const config = notes.configure?.(structuredClone(before?.config ?? {})) ?? before?.config;
  return {
    ...before,
    created,
    ...(notes.author === undefined ? {} : { author: notes.author }),
    os,
    architecture,
    ...(variant === undefined ? {} : { variant }),
    ...(config === undefined ? {} : { config }),
    rootfs: { type: 'layers', diff_ids: [...(before?.rootfs.diff_ids ?? []), layer.diffId] },
    history: [...(before?.history ?? []), step],
  };
}

async function keepImage(
  store: Store,
  base: Image | undefined,
  layer: StoredLayer,
  compression: LayerCompression,
  notes: ImageNotes,
): Promise<CreatedImage> {
  const layers = [...(base?.manifest.layers ?? []), layerDescriptor(layer, compression)];
  return await writeImage(store, compose(base, layer, notes), layers, [notes.name]);
}

/** Keeps an image whose layers are there; a name of undefined keeps it without one. The caller holds the `collection` lock. */
export async function writeImage(
  store: Store,
  imageConfig: ImageConfig,
  layers: Descriptor[],
  names: readonly (string | undefined)[],
): Promise<CreatedImage> {
  const config = encodeDocument(imageConfig);
  const id = store.writeDocument(config);
  const manifest: Manifest = {
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    config: { mediaType: OCI_CONFIG, digest: id, size: config.length },
    layers,
  };
  const bytes = encodeDocument(manifest);
  const manifestDigest = store.writeDocument(bytes);
  for (const name of names)
    await nameImage(store, { manifestDigest, mediaType: OCI_MANIFEST, size: bytes.length, name });
  return { id, manifestDigest };
}

/** An upper becomes the topmost layer of a new image. `layers` is read, never changed. */
export async function commitUpper(
  store: Store,
  base: Image | undefined,
  layers: LayerSet,
  notes: ImageNotes,
): Promise<CreatedImage> {
  const union = openUnion({ ...layers, readOnly: true });
  try {
    if (union.index === null && layers.index !== false) refuseStranded(union);
    return await commitLayer(store, base, packUpper(union), notes);
  } finally {
    union.close();
  }
}

/** A layer's archive becomes the topmost layer of a new image. */
export async function commitLayer(
  store: Store,
  base: Image | undefined,
  archive: Iterable<Buffer>,
  notes: ImageNotes,
): Promise<CreatedImage> {
  using _lock = await StoreLock.take(store.root, 'collection', true);
  const below = (base?.config.rootfs.diff_ids ?? []).map((diffId) => store.diffPath(diffId)).reverse();
  const layer = await storeLayer(store, Readable.from(archive, { objectMode: false }), 'the new layer', {
    compress: true,
    below: async () => below,
  });
  return await keepImage(store, base, layer, 'gzip', notes);
}

/** A directory becomes an image of one layer. */
export async function importDirectory(store: Store, path: string, notes: ImageNotes): Promise<CreatedImage> {
  using _lock = await StoreLock.take(store.root, 'collection', true);
  const union = openUnion({ lowers: [path] });
  try {
    const layer = await storeLayer(store, Readable.from(packView(union), { objectMode: false }), path, {
      compress: true,
    });
    return await keepImage(store, undefined, layer, 'gzip', notes);
  } finally {
    union.close();
  }
}

/** An archive of a root file system becomes an image of one layer. */
export async function importArchive(
  store: Store,
  source: AsyncIterable<Uint8Array>,
  what: string,
  limits: UnpackLimits,
  notes: ImageNotes,
): Promise<CreatedImage> {
  using _lock = await StoreLock.take(store.root, 'collection', true);
  const archive = await asLayer(source, what, archiveLimit(limits));
  const layer = await storeLayer(store, archive.source, what, { limits, compress: archive.compress });
  if (layer.archiveSize === 0) {
    throw new OverlayError({ operation: 'import', path: what, reason: 'it is empty' });
  }
  return await keepImage(store, undefined, layer, archive.compression, notes);
}
