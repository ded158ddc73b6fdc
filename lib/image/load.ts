// SPDX-License-Identifier: MIT
/**
 * Images from archives and layouts: OCI's (image-layout.md), and the one that
 * `docker save` wrote before it knew OCI's (Docker Image Specification v1.2,
 * "Combined Image JSON + Filesystem Changeset Format").
 */
import { basename } from 'node:path';
import { OverlayError } from '../base/errors.js';
import type { ImageArchive } from './archive-file.js';
import { openArchive } from './archive-file.js';
import { asLayer } from './compression.js';
import { layerDescriptor } from './create-image.js';
import { type Digest, digestOf, hexOf, shortId } from './digest.js';
import { listImages, REFERENCE_NAME } from './images.js';
import { lockLayer, pathsBelow, storeLayer } from './layer-store.js';
import {
  type Descriptor,
  encodeDocument,
  isIndexType,
  type Manifest,
  OCI_CONFIG,
  OCI_MANIFEST,
  parseConfig,
  parseIndex,
  parseManifest,
} from './manifest.js';
import { nameImage } from './naming.js';
import { choosePlatform, type Platform } from './platform.js';
import { fullName, parseReference } from './reference.js';
import { Staging } from './staging.js';
import type { Store } from './store.js';
import { StoreLock } from './store-lock.js';
import type { UnpackLimits } from './unpack.js';

export interface LoadOptions {
  platform: Platform;
  limits: UnpackLimits;
}

export interface LoadedImage {
  id: Digest;
  /** In full; undefined for an image that the archive gives no name. */
  name: string | undefined;
}

/** containerd's and Docker's annotation with the whole name. */
const CONTAINERD_NAME = 'io.containerd.image.name';

/** Loads all images of an archive (`-` is standard input). Throws an OverlayError; what was whole by then stays. */
export async function loadImages(store: Store, path: string, options: LoadOptions): Promise<LoadedImage[]> {
  using _lock = await StoreLock.take(store.root, 'collection', true);
  using staging = Staging.make(store);
  const archive = await openArchive(path, staging.path);
  const loader = new Loader(store, archive, options);
  const index = archive.document('index.json');
  // Awaited here: lock and staging are given up when this function is left.
  if (index !== undefined) return await loader.loadIndex(index, path);
  const list = archive.document('manifest.json');
  if (list !== undefined) return await loader.loadDockerList(list);
  throw new OverlayError({
    operation: 'load',
    path: archive.what,
    reason: 'it holds neither index.json nor manifest.json, so it is no archive of images',
    remedy: 'a root file system is taken by `tsoverlay import`',
  });
}

class Loader {
  constructor(
    private readonly store: Store,
    private readonly archive: ImageArchive,
    private readonly options: LoadOptions,
  ) {}

  async loadIndex(bytes: Buffer, path: string): Promise<LoadedImage[]> {
    const loaded: LoadedImage[] = [];
    for (const descriptor of parseIndex(bytes, `index.json of ${this.archive.what}`).manifests) {
      // Attestations stand beside the images that they speak of.
      if (descriptor.platform?.os === 'unknown') continue;
      loaded.push(await this.#loadDescriptor(descriptor, nameFrom(descriptor, path)));
    }
    return loaded;
  }

  async #loadDescriptor(descriptor: Descriptor, name: string | undefined): Promise<LoadedImage> {
    const bytes = this.#document(descriptor.digest);
    if (!isIndexType(descriptor.mediaType)) return this.#loadManifest(bytes, descriptor, name);
    const { manifests } = parseIndex(bytes, descriptor.digest);
    const chosen =
      choosePlatform(manifests, this.options.platform) ?? (manifests.length === 1 ? manifests[0] : undefined);
    if (chosen !== undefined) return this.#loadDescriptor(chosen, name);
    throw this.#failed(
      `${name ?? descriptor.digest} has no manifest for this platform`,
      'choose another with --platform',
    );
  }

  #document(digest: Digest): Buffer {
    const bytes = this.archive.document(blobName(digest));
    if (bytes === undefined) throw this.#failed(`${blobName(digest)} is missing`);
    if (digestOf(bytes) !== digest) throw this.#failed(`${blobName(digest)} is damaged`);
    return bytes;
  }

  async #loadManifest(
    bytes: Buffer,
    { digest, mediaType }: Descriptor,
    name: string | undefined,
  ): Promise<LoadedImage> {
    const manifest = parseManifest(bytes, `${digest} of ${this.archive.what}`);
    const config = this.#document(manifest.config.digest);
    const { diff_ids: diffIds } = parseConfig(config, manifest.config.digest, manifest.layers.length).rootfs;
    for (const [index, layer] of manifest.layers.entries()) await this.#loadLayer(layer, index, diffIds);
    this.store.writeDocument(config);
    this.store.writeDocument(bytes);
    await nameImage(this.store, { manifestDigest: digest, mediaType, size: bytes.length, name });
    return { id: manifest.config.digest, name };
  }

  async #loadLayer({ digest, size }: Descriptor, index: number, diffIds: readonly Digest[]): Promise<void> {
    const diffId = diffIds[index];
    using _lock = await lockLayer(this.store, digest);
    if (this.store.hasLayer(diffId) && this.store.hasBlob(digest)) return;
    const source = this.archive.stream(blobName(digest));
    if (source === undefined) throw this.#failed(`${blobName(digest)} is missing`);
    await storeLayer(this.store, source, `layer ${shortId(digest)}`, {
      digest,
      size,
      diffId,
      limits: this.options.limits,
      below: async () => pathsBelow(this.store, diffIds, index),
    });
  }

  async loadDockerList(bytes: Buffer): Promise<LoadedImage[]> {
    const loaded: LoadedImage[] = [];
    for (const item of this.#parseDockerList(bytes)) loaded.push(...(await this.#loadDockerImage(item)));
    return loaded;
  }

  #parseDockerList(bytes: Buffer): DockerItem[] {
    let list: unknown;
    try {
      list = JSON.parse(bytes.toString('utf8'));
    } catch (cause) {
      throw this.#failed(`manifest.json is not JSON: ${(cause as Error).message}`);
    }
    const isItem = (item: DockerItem | null): boolean =>
      typeof item?.Config === 'string' &&
      Array.isArray(item.Layers ?? []) &&
      (item.Layers ?? []).every((layer) => typeof layer === 'string') &&
      (item.RepoTags === null || item.RepoTags === undefined || Array.isArray(item.RepoTags));
    if (!Array.isArray(list) || !list.every(isItem)) throw this.#failed('manifest.json is no list of images');
    return list as DockerItem[];
  }

  async #loadDockerImage({ Config, RepoTags, Layers }: DockerItem): Promise<LoadedImage[]> {
    const layerNames = Layers ?? [];
    const config = this.archive.document(Config);
    if (config === undefined) throw this.#failed(`${Config} is missing`);
    const { diff_ids: diffIds } = parseConfig(
      config,
      `${Config} of ${this.archive.what}`,
      layerNames.length,
    ).rootfs;
    const layers: Descriptor[] = [];
    for (const [index, name] of layerNames.entries())
      layers.push(await this.#loadDockerLayer(name, index, diffIds));
    const id = this.store.writeDocument(config);
    const manifest: Manifest = {
      schemaVersion: 2,
      mediaType: OCI_MANIFEST,
      config: { mediaType: OCI_CONFIG, digest: id, size: config.length },
      layers,
    };
    const bytes = encodeDocument(manifest);
    const manifestDigest = this.store.writeDocument(bytes);
    const names = (RepoTags ?? []).map((tag) => fullName(parseReference(tag)));
    for (const name of names.length === 0 ? [undefined] : names) {
      await nameImage(this.store, { manifestDigest, mediaType: OCI_MANIFEST, size: bytes.length, name });
    }
    return names.length === 0 ? [{ id, name: undefined }] : names.map((name) => ({ id, name }));
  }

  /** The archive does not say what its layer's digest is; the diff ID tells whether it is here, however it is compressed. */
  async #loadDockerLayer(name: string, index: number, diffIds: readonly Digest[]): Promise<Descriptor> {
    const diffId = diffIds[index];
    using _lock = await lockLayer(this.store, diffId);
    const known = this.#descriptorOf(diffId);
    if (known !== undefined) return known;
    const source = this.archive.stream(name);
    if (source === undefined) throw this.#failed(`${name} is missing`);
    const what = `layer ${shortId(diffId)}`;
    const archive = await asLayer(source, what);
    const layer = await storeLayer(this.store, archive.source, what, {
      diffId,
      limits: this.options.limits,
      below: async () => pathsBelow(this.store, diffIds, index),
      compress: archive.compress,
    });
    return layerDescriptor(layer, archive.compression);
  }

  #descriptorOf(diffId: Digest): Descriptor | undefined {
    if (!this.store.hasLayer(diffId)) return undefined;
    for (const { manifest, config } of listImages(this.store)) {
      const layer = manifest.layers[config.rootfs.diff_ids.indexOf(diffId)];
      if (layer !== undefined && this.store.hasBlob(layer.digest)) return layer;
    }
    return undefined;
  }

  #failed(reason: string, remedy?: string): OverlayError {
    return new OverlayError({ operation: 'load', path: this.archive.what, reason, remedy });
  }
}

interface DockerItem {
  Config: string;
  RepoTags: string[] | null | undefined;
  /** Null for none. */
  Layers: string[] | null | undefined;
}

function blobName(digest: Digest): string {
  return `blobs/sha256/${hexOf(digest)}`;
}

/** Some write the whole name, some the tag alone: then the layout's own name is the repository, as umoci has it. */
function nameFrom({ annotations }: Descriptor, path: string): string | undefined {
  const whole = annotations?.[CONTAINERD_NAME];
  const given = whole ?? annotations?.[REFERENCE_NAME];
  if (given === undefined || given === '') return undefined;
  const isTag = whole === undefined && /^[\w][\w.-]*$/.test(given);
  const repository = basename(path)
    .replace(/\.(tar|oci|tgz|tar\.gz|tar\.zst)$/, '')
    .toLowerCase();
  try {
    return fullName(parseReference(isTag ? `${repository}:${given}` : given));
  } catch {
    // A name that cannot be an image's here: the image is loaded without one, and shown as such.
    return undefined;
  }
}
