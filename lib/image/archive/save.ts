// SPDX-License-Identifier: MIT
/**
 * Images as one archive that both worlds read: an OCI image layout, with the
 * manifest.json beside it by which Docker and older tools find the same blobs
 * (as `docker save` has done since its version 25).
 */
import { createReadStream } from 'node:fs';
import { OverlayError } from '../../base/errors.js';
import { type Digest, hexOf } from '../model/digest.js';
import { encodeDocument } from '../model/documents.js';
import { OCI_INDEX } from '../model/manifest.js';
import { familiarName, parseName } from '../model/reference.js';
import { blobSize } from '../store/collect.js';
import { findImage, type Image, REFERENCE_NAME } from '../store/images.js';
import type { Store } from '../store/store.js';
import { END_OF_ARCHIVE, fileEntry, headerOf, paddingAfter, plainEntry } from '../tar/writer.js';

interface SavedImage {
  image: Image;
  /** In full; what was asked for by id is saved without one. */
  names: string[];
}

/** Which images, each once, with the names by which they were asked for. */
function gather(store: Store, asked: readonly string[]): SavedImage[] {
  const saved = new Map<Digest, SavedImage>();
  for (const text of asked) {
    const { image, name } = findImage(store, text);
    const known = saved.get(image.manifestDigest) ?? { image, names: [] };
    if (name !== undefined && !known.names.includes(name)) known.names.push(name);
    saved.set(image.manifestDigest, known);
  }
  return [...saved.values()];
}

function indexOf(store: Store, images: readonly SavedImage[]): Buffer {
  const manifests = images.flatMap(({ image, names }) => {
    const { manifestDigest: digest, mediaType, stated } = image;
    const platform = stated && { platform: stated };
    const descriptor = { mediaType, digest, size: blobSize(store, digest), ...platform };
    if (names.length === 0) return [descriptor];
    return names.map((name) => ({
      ...descriptor,
      annotations: { 'io.containerd.image.name': name, [REFERENCE_NAME]: name },
    }));
  });
  return encodeDocument({ schemaVersion: 2, mediaType: OCI_INDEX, manifests });
}

function dockerList(images: readonly SavedImage[]): Buffer {
  return encodeDocument(
    images.map(({ image, names }) => ({
      Config: blobName(image.id),
      RepoTags: names.length === 0 ? null : names.map((name) => familiarName(parseName(name))),
      Layers: image.manifest.layers.map(({ digest }) => blobName(digest)),
    })),
  );
}

function blobName(digest: Digest): string {
  return `blobs/sha256/${hexOf(digest)}`;
}

function blobsOf(images: readonly SavedImage[]): Digest[] {
  const all = images.flatMap(({ image }) => [
    image.manifestDigest,
    image.id,
    ...image.manifest.layers.map(({ digest }) => digest),
  ]);
  return [...new Set(all)].sort();
}

/** The archive's bytes. Throws an OverlayError before the first where an image is not known or not whole. */
export function saveImages(store: Store, asked: readonly string[]): AsyncGenerator<Buffer> {
  const images = gather(store, asked);
  const blobs = blobsOf(images);
  const lost = blobs.find((digest) => !store.hasBlob(digest));
  if (lost !== undefined) {
    throw new OverlayError({
      operation: 'save',
      path: asked.join(' '),
      reason: `the store has lost ${lost}`,
      remedy: 'run `tsoverlay system check --repair` and pull the image again',
    });
  }
  return write(store, images, blobs);
}

async function* write(
  store: Store,
  images: readonly SavedImage[],
  blobs: readonly Digest[],
): AsyncGenerator<Buffer> {
  yield fileEntry('oci-layout', Buffer.from('{"imageLayoutVersion":"1.0.0"}'));
  yield fileEntry('index.json', indexOf(store, images));
  yield fileEntry('manifest.json', dockerList(images));
  for (const digest of blobs) {
    const size = blobSize(store, digest);
    yield headerOf(plainEntry(blobName(digest), size));
    for await (const chunk of createReadStream(store.blobPath(digest), { highWaterMark: 1 << 20 }))
      yield chunk as Buffer;
    yield paddingAfter(size);
  }
  yield END_OF_ARCHIVE;
}
