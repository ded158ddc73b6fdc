// SPDX-License-Identifier: MIT
/**
 * The images of a store, as index.json names them: a descriptor a name, with the
 * name in the annotation that the layout has for it (image-layout.md, "index.json
 * file"), and one without a name for an image that lost its last one.
 */
import { readFileSync } from 'node:fs';
import { nearestName, OverlayError } from '../../base/errors.js';
import { type Digest, hexOf } from '../model/digest.js';
import { encodeDocument } from '../model/documents.js';
import { type ImageConfig, parseConfig } from '../model/image-config.js';
import {
  type Descriptor,
  type Index,
  type Manifest,
  OCI_INDEX,
  OCI_MANIFEST,
  parseIndex,
  parseManifest,
} from '../model/manifest.js';
import type { Platform } from '../model/platform.js';
import { familiarName, fullName, parseName, parseReference, repositoryOf } from '../model/reference.js';
import { StoreLock } from './lock.js';
import { spendReserve } from './reserve.js';
import { isFull, writeFileWhole } from './staging.js';
import type { Store } from './store.js';

export const REFERENCE_NAME = 'org.opencontainers.image.ref.name';
/** The digest under which a registry has the image: that of an index, where it came from one. */
export const REPOSITORY_DIGEST = 'tsoverlay.repository-digest';

export interface Image {
  /** The digest of the configuration, as Docker takes it. */
  id: Digest;
  manifestDigest: Digest;
  mediaType: string;
  manifest: Manifest;
  config: ImageConfig;
  /** What the index says of its platform that it came by; it counts more than the configuration. */
  stated: Platform | undefined;
  /** In full, sorted: `docker.io/library/nginx:latest`. */
  names: string[];
  /** `docker.io/library/nginx@sha256:…` */
  repositoryDigests: string[];
}

export function readIndex(store: Store): Index {
  const path = store.indexPath;
  try {
    return parseIndex(readFileSync(path), path);
  } catch (cause) {
    throw new OverlayError({
      operation: 'read the list of images',
      path,
      reason: cause instanceof OverlayError ? (cause.reason ?? 'it is damaged') : (cause as Error).message,
      remedy: 'run `tsoverlay system check --repair`',
      cause,
    });
  }
}

/** Changes the list of images: what `change` answers takes its place at once. */
export async function changeIndex(
  store: Store,
  change: (manifests: readonly Descriptor[]) => Descriptor[],
): Promise<void> {
  using _lock = await StoreLock.take(store.root, 'names');
  const index = readIndex(store);
  const manifests = change(index.manifests);
  if (JSON.stringify(manifests) === JSON.stringify(index.manifests)) return;
  const write = (): void => writeIndex(store, { ...index, manifests });
  try {
    write();
  } catch (failure) {
    // An addition may find the disk full; a removal must not.
    if (manifests.length > index.manifests.length || !isFull(failure) || !spendReserve(store)) throw failure;
    write();
  }
}

/** The caller has the `names` lock. */
export function writeIndex(store: Store, index: Index): void {
  writeFileWhole(store, store.indexPath, encodeDocument({ ...index, mediaType: OCI_INDEX }));
}

/** The name that a descriptor gives its image. */
export function nameOf({ annotations }: Descriptor): string | undefined {
  return annotations?.[REFERENCE_NAME];
}

/** The digest under which a repository has a descriptor's image. */
export function repositoryDigestOf({ annotations }: Descriptor): string | undefined {
  return annotations?.[REPOSITORY_DIGEST];
}

/** Reads what a manifest leads to. Throws an OverlayError where the store is damaged. */
export function readImage(store: Store, manifestDigest: Digest, stated?: Platform): Image {
  const what = store.blobPath(manifestDigest);
  const manifest = parseManifest(store.readDocument(manifestDigest), what);
  const { config: descriptor, layers, mediaType } = manifest;
  const config = parseConfig(
    store.readDocument(descriptor.digest),
    store.blobPath(descriptor.digest),
    layers.length,
    stated,
  );
  return {
    id: descriptor.digest,
    manifestDigest,
    mediaType: mediaType || OCI_MANIFEST,
    manifest,
    config,
    stated,
    names: [],
    repositoryDigests: [],
  };
}

/** An image of the list; undefined where another command has removed it since the list was read. */
function readListed(store: Store, listed: Descriptor): Image | undefined {
  try {
    return readImage(store, listed.digest, listed.platform);
  } catch (failure) {
    if (readIndex(store).manifests.some(({ digest }) => digest === listed.digest)) throw failure;
    return undefined;
  }
}

/** All images, each once, in the order in which they came. */
export function listImages(store: Store): Image[] {
  const images = new Map<Digest, Image>();
  for (const descriptor of readIndex(store).manifests) {
    const image = images.get(descriptor.digest) ?? readListed(store, descriptor);
    if (image === undefined) continue;
    images.set(descriptor.digest, image);
    addNames(image, descriptor);
  }
  for (const image of images.values()) image.names.sort();
  return [...images.values()];
}

function addNames(image: Image, descriptor: Descriptor): void {
  const name = nameOf(descriptor);
  if (name !== undefined) image.names.push(name);
  const digest = repositoryDigestOf(descriptor);
  if (digest !== undefined && !image.repositoryDigests.includes(digest)) image.repositoryDigests.push(digest);
}

export interface FoundImage {
  image: Image;
  /** The name by which it was asked for, in full; undefined for an id or a digest. */
  name: string | undefined;
  /** The repository's digest by which it was asked for, in full. */
  repositoryDigest?: string | undefined;
}

const SHORTEST_ID = 2;

/** Finds an image by name, by id or the beginning of one, or by digest. Throws an OverlayError. */
export function findImage(store: Store, text: string): FoundImage {
  const known = findKnownName(store, text);
  if (known !== undefined) return known;
  const images = listImages(store);
  const named = findByName(images, text);
  if (named !== undefined) return named;
  const prefix = text.replace(/^sha256:/, '');
  if (/^[0-9a-f]+$/.test(prefix) && prefix.length >= SHORTEST_ID) {
    const matches = images.filter((image) =>
      [image.id, image.manifestDigest, ...image.repositoryDigests.map(digestIn)].some((id) =>
        hexOf(id).startsWith(prefix),
      ),
    );
    const ids = new Set(matches.map(({ id }) => id));
    if (ids.size === 1) return { image: matches[0], name: undefined };
    if (ids.size > 1)
      throw new ImageNotFound(text, `${ids.size} images have an id that begins so`, 'give more of it');
  }
  throw unknownImage(images, text);
}

/** `docker.io/library/nginx@sha256:…` is kept by us, and well formed. */
function digestIn(repositoryDigest: string): Digest {
  return parseName(repositoryDigest).digest!;
}

/** An image by one of its names, without a look at the others: a store may have thousands. */
function findKnownName(store: Store, text: string): FoundImage | undefined {
  if (isIdentifier(text)) return undefined;
  const name = fullName(parseReference(text));
  const { manifests } = readIndex(store);
  const named = manifests.find((descriptor) => nameOf(descriptor) === name);
  if (named === undefined) return undefined;
  const image = readListed(store, named);
  if (image === undefined) return undefined;
  for (const descriptor of manifests) if (descriptor.digest === named.digest) addNames(image, descriptor);
  image.names.sort();
  return { image, name };
}

function findByName(images: readonly Image[], text: string): FoundImage | undefined {
  if (isIdentifier(text)) return undefined;
  const reference = parseReference(text);
  const name = fullName(reference);
  const image = images.find(({ names }) => names.includes(name));
  if (image !== undefined) return { image, name };
  if (reference.digest === undefined) return undefined;
  const digest = fullName({ ...reference, tag: undefined });
  const byDigest = images.find(({ repositoryDigests }) => repositoryDigests.includes(digest));
  if (byDigest !== undefined) return { image: byDigest, name: undefined, repositoryDigest: digest };
  // It came in an archive, say.
  const byName = images.find(
    ({ manifestDigest, names }) =>
      manifestDigest === reference.digest &&
      names.some((known) => repositoryOf(parseName(known)) === repositoryOf(reference)),
  );
  return byName === undefined ? undefined : { image: byName, name: undefined };
}

/** What is an id, or the beginning of one that says so, and no name. */
export function isIdentifier(text: string): boolean {
  return /^(?:sha256:[0-9a-f]*|[0-9a-f]{64})$/.test(text);
}

/** No image, or not exactly one, is what was asked for. */
class ImageNotFound extends OverlayError {
  constructor(path: string, reason: string, remedy: string) {
    super({ operation: 'find image', path, reason, remedy });
  }
}

function unknownImage(images: readonly Image[], text: string): ImageNotFound {
  const near = nearNames(
    images.flatMap(({ names }) => names),
    text,
  );
  const remedy =
    near.length > 0
      ? `did you mean ${near.join(' or ')}?`
      : `see \`tsoverlay images\`, or get it with \`tsoverlay pull ${text}\``;
  return new ImageNotFound(text, 'there is no such image in the store', remedy);
}

/** Names that hold what was typed, or differ from it by a slip. */
function nearNames(names: readonly string[], text: string): string[] {
  const lastOf = (name: string): string => parseName(name).path.split('/').at(-1)!;
  const wanted = text.toLowerCase().split(/[:@]/)[0].split('/').at(-1)!;
  const slip = names.length === 0 ? undefined : nearestName(wanted, names.map(lastOf));
  const isNear = (last: string): boolean =>
    last === slip || (wanted.length > 1 && (last.includes(wanted) || wanted.includes(last)));
  return names
    .filter((name) => isNear(lastOf(name)))
    .map((name) => familiarName(parseName(name)))
    .slice(0, 3);
}

/** Whether findImage would find one. */
export function hasImage(store: Store, text: string): boolean {
  try {
    findImage(store, text);
    return true;
  } catch (failure) {
    if (failure instanceof ImageNotFound) return false;
    throw failure;
  }
}
