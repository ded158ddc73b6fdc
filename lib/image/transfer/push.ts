// SPDX-License-Identifier: MIT
/** From the store to a registry: what it does not have yet, then the manifest. */
import { createReadStream, statSync } from 'node:fs';
import { OverlayError } from '../../base/errors.js';
import { findCredentials } from '../credentials/credentials.js';
import { type Digest, shortId } from '../model/digest.js';
import type { Descriptor } from '../model/manifest.js';
import { parseName, parseReference, type Reference, repositoryOf } from '../model/reference.js';
import { endpointsFor, type RegistryConfig } from '../registry/config.js';
import { RegistryHttp } from '../registry/http.js';
import { Repository } from '../registry/registry.js';
import { Warnings } from '../registry/warnings.js';
import { findImage, type Image } from '../store/images.js';
import { StoreLock } from '../store/lock.js';
import { nameImage } from '../store/naming.js';
import type { Store } from '../store/store.js';
import type { TransferProgress } from './progress.js';
import { uploadBlob } from './upload.js';

export interface PushOptions {
  registries: RegistryConfig;
  progress: TransferProgress;
}

/** Pushes an image under its name; answers the digest that it has there. Throws an OverlayError. */
export async function pushImage(store: Store, text: string, options: PushOptions): Promise<Digest> {
  using _lock = await StoreLock.take(store.root, 'collection', true);
  const { image, name } = findImage(store, text);
  if (name === undefined) {
    throw new OverlayError({
      operation: 'push',
      path: text,
      reason: text.includes('@')
        ? 'a digest cannot be pushed to: it is what the registry answers'
        : 'an id says nothing of where to push it',
      remedy: 'give the image a name first with `tsoverlay tag`',
    });
  }
  const reference = parseReference(name);
  // A mirror only gives.
  const endpoint = endpointsFor(reference.domain, { ...options.registries, mirrors: [] })[0];
  const http = new RegistryHttp(
    endpoint,
    () => findCredentials(reference.domain, reference.path),
    new Warnings(options.progress),
  );
  try {
    const repository = new Repository(http, reference.path);
    await pushBlobs(store, image, reference, repository, options.progress);
    const bytes = store.readDocument(image.manifestDigest);
    await repository.pushManifest(reference.tag!, bytes, image.mediaType);
    await nameImage(store, {
      manifestDigest: image.manifestDigest,
      mediaType: image.mediaType,
      size: bytes.length,
      name,
      repositoryDigest: `${repositoryOf(reference)}@${image.manifestDigest}`,
    });
    return image.manifestDigest;
  } finally {
    http.close();
  }
}

async function pushBlobs(
  store: Store,
  image: Image,
  reference: Reference,
  repository: Repository,
  progress: TransferProgress,
): Promise<void> {
  const sources = siblingRepositories(image, reference);
  const seen = new Set<Digest>();
  for (const blob of [...image.manifest.layers, image.manifest.config]) {
    if (seen.has(blob.digest)) continue;
    seen.add(blob.digest);
    const how = isElsewhere(blob)
      ? 'Skipped foreign layer'
      : await uploadBlob(repository, blob, sources, () => bytesOf(store, blob, repository, progress));
    progress.done(shortId(blob.digest), how);
  }
}

/** Such a layer must not be pushed: it is fetched from where its descriptor says (layer.md, "Non-Distributable Layers"). */
function isElsewhere({ mediaType, urls }: Descriptor): boolean {
  return /\.foreign\.|\.nondistributable\./.test(mediaType) && (urls ?? []).length > 0;
}

/** Read for each try from the start. */
async function* bytesOf(
  store: Store,
  { digest, size }: Descriptor,
  repository: Repository,
  progress: TransferProgress,
): AsyncGenerator<Buffer> {
  const short = shortId(digest);
  const path = store.blobPath(digest);
  if (statSync(path, { throwIfNoEntry: false })?.size !== size) {
    throw new OverlayError({
      operation: 'push',
      path: repository.name,
      reason: `the store has lost the layer ${short}, or a part of it`,
      remedy: 'run `tsoverlay system check`',
    });
  }
  progress.start(short, size);
  for await (const chunk of createReadStream(path, { highWaterMark: 256 * 1024 })) {
    progress.advance(short, (chunk as Buffer).length);
    yield chunk as Buffer;
  }
}

/** Repositories of the same registry that are known to have the image. */
function siblingRepositories(image: Image, reference: Reference): string[] {
  const known = [...image.repositoryDigests, ...image.names].map(parseName);
  const paths = known
    .filter(({ domain, path }) => domain === reference.domain && path !== reference.path)
    .map(({ path }) => path);
  return [...new Set(paths)];
}
