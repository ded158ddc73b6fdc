// SPDX-License-Identifier: MIT
/**
 * Images of the archives that `docker save` wrote before it knew OCI's (Docker Image
 * Specification v1.2, "Combined Image JSON + Filesystem Changeset Format").
 */
import { OverlayError } from '../../base/errors.js';
import { type Digest, shortId } from '../model/digest.js';
import { encodeDocument, isObject, isTexts, type Json } from '../model/documents.js';
import { configPlatform, parseConfig } from '../model/image-config.js';
import { type Descriptor, type Manifest, OCI_CONFIG, OCI_MANIFEST } from '../model/manifest.js';
import { fitness, machinePlatform, platformName } from '../model/platform.js';
import { familiarName, fullName, parseName, parseReference } from '../model/reference.js';
import { layerDescriptor } from '../store/create-image.js';
import { listImages } from '../store/images.js';
import { lockLayer, pathsBelow, storeLayer } from '../store/layers.js';
import { nameImage } from '../store/naming.js';
import type { Store } from '../store/store.js';
import { asLayer } from '../tar/compression.js';
import { archiveLimit } from '../unpack/unpack.js';
import type { ImageArchive } from './archive-file.js';
import type { LoadedImage, LoadOptions } from './loading.js';

/** An image of the list. */
interface Item {
  config: Buffer;
  /** The name of its configuration, for messages. */
  what: string;
  layers: string[];
  /** In full. */
  names: string[];
  platform: string;
  fit: number;
}

/** Loads the images that manifest.json lists. */
export async function loadDockerList(
  store: Store,
  archive: ImageArchive,
  list: Buffer,
  options: LoadOptions,
): Promise<LoadedImage[]> {
  const loader = new DockerLoader(store, archive, options);
  const loaded: LoadedImage[] = [];
  for (const item of loader.choose(list)) loaded.push(...(await loader.load(item)));
  return loaded;
}

class DockerLoader {
  constructor(
    private readonly store: Store,
    private readonly archive: ImageArchive,
    private readonly options: LoadOptions,
  ) {}

  /** Of those with the same name the one that serves. Throws an OverlayError, before anything is loaded, where none does. */
  choose(list: Buffer): Item[] {
    const items = this.#parse(list);
    const best = new Map<string, Item>();
    for (const item of items) {
      for (const name of item.names) if (item.fit >= (best.get(name)?.fit ?? 0)) best.set(name, item);
    }
    const { platform } = this.options;
    const isWanted = ({ fit }: Item): boolean => fit > 0 || platform === undefined;
    const lacking = [...best].find(([, item]) => !isWanted(item));
    if (lacking !== undefined) throw this.#none(familiarName(parseName(lacking[0])), [lacking[1]]);
    const chosen = items
      .map((item) => ({ ...item, names: item.names.filter((name) => best.get(name) === item) }))
      .filter((item, index) => isWanted(item) && (item.names.length > 0 || items[index].names.length === 0));
    if (chosen.length > 0) return chosen;
    throw items.length === 0 ? this.#failed('it holds no image') : this.#none(this.archive.what, items);
  }

  #none(path: string, items: readonly Item[]): OverlayError {
    return new OverlayError({
      operation: 'load',
      path,
      reason: `there is none for ${platformName(this.options.platform!)}`,
      remedy: `choose another with --platform: ${[...new Set(items.map(({ platform }) => platform))].join(', ')}`,
    });
  }

  #parse(bytes: Buffer): Item[] {
    let list: unknown;
    try {
      list = JSON.parse(new TextDecoder().decode(bytes));
    } catch (cause) {
      throw this.#failed(`manifest.json is not JSON: ${(cause as Error).message}`);
    }
    if (!Array.isArray(list) || !list.every(isObject))
      throw this.#failed('manifest.json is no list of images');
    return list.map((item) => this.#item(item));
  }

  #item({ Config, RepoTags, Layers }: Json): Item {
    const [tags, layers] = [RepoTags ?? [], Layers ?? []];
    if (typeof Config !== 'string' || !isTexts(tags) || !isTexts(layers))
      throw this.#failed('manifest.json is no list of images');
    const config = this.archive.document(Config);
    if (config === undefined) throw this.#failed(`${Config} is missing`);
    const what = `${Config} of ${this.archive.what}`;
    const platform = configPlatform(config, what);
    return {
      config,
      what,
      layers,
      names: tags.filter((tag) => tag !== '').map((tag) => fullName(parseReference(tag))),
      platform: platformName(platform),
      fit: fitness(this.options.platform ?? machinePlatform(), platform),
    };
  }

  async load({ config, what, layers: layerNames, names }: Item): Promise<LoadedImage[]> {
    const { diff_ids: diffIds } = parseConfig(config, what, layerNames.length).rootfs;
    const layers: Descriptor[] = [];
    for (const [index, name] of layerNames.entries())
      layers.push(await this.#loadLayer(name, index, diffIds));
    const id = this.store.writeDocument(config);
    const manifest: Manifest = {
      schemaVersion: 2,
      mediaType: OCI_MANIFEST,
      config: { mediaType: OCI_CONFIG, digest: id, size: config.length },
      layers,
    };
    const bytes = encodeDocument(manifest);
    const manifestDigest = this.store.writeDocument(bytes);
    for (const name of names.length === 0 ? [undefined] : names) {
      await nameImage(this.store, { manifestDigest, mediaType: OCI_MANIFEST, size: bytes.length, name });
    }
    return names.length === 0 ? [{ id, name: undefined }] : names.map((name) => ({ id, name }));
  }

  /** The archive does not say what its layer's digest is; the diff ID tells whether it is here, however it is compressed. */
  async #loadLayer(name: string, index: number, diffIds: readonly Digest[]): Promise<Descriptor> {
    const diffId = diffIds[index];
    using _lock = await lockLayer(this.store, diffId);
    const known = this.#descriptorOf(diffId);
    if (known !== undefined) return known;
    const source = this.archive.stream(name);
    if (source === undefined) throw this.#failed(`${name} is missing`);
    const what = `layer ${shortId(diffId)}`;
    const archive = await asLayer(source, what, archiveLimit(this.options.limits));
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

  #failed(reason: string): OverlayError {
    return new OverlayError({ operation: 'load', path: this.archive.what, reason });
  }
}
