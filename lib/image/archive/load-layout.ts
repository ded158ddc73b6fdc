// SPDX-License-Identifier: MIT
/** Images of OCI layouts (image-layout.md): which of them, and under which names, then one after the other. */
import { basename } from 'node:path';
import { OverlayError } from '../../base/errors.js';
import { type Digest, digestOf, hexOf, shortId } from '../model/digest.js';
import { parseConfig } from '../model/image-config.js';
import { type Descriptor, parseIndex, parseManifest } from '../model/manifest.js';
import { type DocumentSource, type FoundManifest, ManifestSearch } from '../model/manifest-search.js';
import { machinePlatform } from '../model/platform.js';
import { fullName, parseReference } from '../model/reference.js';
import { REFERENCE_NAME } from '../store/images.js';
import { lockLayer, pathsBelow, storeLayer } from '../store/layers.js';
import { nameImage } from '../store/naming.js';
import type { Store } from '../store/store.js';
import type { ImageArchive } from './archive-file.js';
import type { LoadedImage, LoadOptions } from './loading.js';

/** containerd's and Docker's annotation with the whole name. */
const CONTAINERD_NAME = 'io.containerd.image.name';

interface Chosen {
  /** In full. */
  name: string | undefined;
  found: FoundManifest;
}

/** Loads the images that an index lists; `path` is what the user named. */
export async function loadLayout(
  store: Store,
  archive: ImageArchive,
  index: Buffer,
  path: string,
  options: LoadOptions,
): Promise<LoadedImage[]> {
  const loader = new LayoutLoader(store, archive, options);
  const loaded: LoadedImage[] = [];
  for (const chosen of await loader.choose(index, path)) loaded.push(await loader.load(chosen));
  return loaded;
}

class LayoutLoader {
  constructor(
    private readonly store: Store,
    private readonly archive: ImageArchive,
    private readonly options: LoadOptions,
  ) {}

  /** Of each name the image that serves. Throws an OverlayError, before anything is loaded, where one has none. */
  async choose(index: Buffer, path: string): Promise<Chosen[]> {
    const { manifests } = parseIndex(index, `index.json of ${this.archive.what}`);
    const chosen: Chosen[] = [];
    const others: ManifestSearch[] = [];
    for (const [name, descriptors] of byName(manifests, path)) {
      const search = this.#search(name ?? this.archive.what);
      const found = await search.among(descriptors);
      const isWanted = found !== undefined && (found.fit > 0 || this.options.platform === undefined);
      if (isWanted) chosen.push({ name, found });
      else if (search.isLacking || (name !== undefined && search.offered.size > 0))
        throw search.failure('load');
      else others.push(search);
    }
    if (chosen.length > 0) return chosen;
    throw others[0]?.failure('load') ?? this.#failed('it holds no image');
  }

  #search(what: string): ManifestSearch {
    const source: DocumentSource = {
      manifest: async ({ digest }) => this.#document(digest),
      config: async ({ digest }) => this.#document(digest),
    };
    return new ManifestSearch(source, this.options.platform ?? machinePlatform(), what);
  }

  #document(digest: Digest): Buffer | undefined {
    const bytes = this.archive.document(blobName(digest));
    if (bytes !== undefined && digestOf(bytes) !== digest)
      throw this.#failed(`${blobName(digest)} is damaged`);
    return bytes;
  }

  async load({ name, found: { bytes, digest, mediaType, stated } }: Chosen): Promise<LoadedImage> {
    const { config: descriptor, layers } = parseManifest(bytes, `${digest} of ${this.archive.what}`);
    const config = this.#document(descriptor.digest);
    if (config === undefined) throw this.#failed(`${blobName(descriptor.digest)} is missing`);
    const { diff_ids: diffIds } = parseConfig(config, descriptor.digest, layers.length).rootfs;
    for (const [index, layer] of layers.entries()) await this.#loadLayer(layer, index, diffIds);
    this.store.writeDocument(config);
    this.store.writeDocument(bytes);
    await nameImage(this.store, { manifestDigest: digest, mediaType, size: bytes.length, name, stated });
    return { id: descriptor.digest, name };
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

  #failed(reason: string): OverlayError {
    return new OverlayError({ operation: 'load', path: this.archive.what, reason });
  }
}

function blobName(digest: Digest): string {
  return `blobs/sha256/${hexOf(digest)}`;
}

/** The same name stands at the images of one for several platforms; what has none is by itself. */
function byName(
  manifests: readonly Descriptor[],
  path: string,
): [name: string | undefined, descriptors: Descriptor[]][] {
  const groups = new Map<string | Descriptor, Descriptor[]>();
  for (const descriptor of manifests) {
    const key = nameFrom(descriptor, path) ?? descriptor;
    const group = groups.get(key) ?? [];
    if (group.every(({ digest }) => digest !== descriptor.digest)) group.push(descriptor);
    groups.set(key, group);
  }
  return [...groups].map(([key, group]) => [typeof key === 'string' ? key : undefined, group]);
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
