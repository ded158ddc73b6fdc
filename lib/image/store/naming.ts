// SPDX-License-Identifier: MIT
/** Names of images in a store: given, moved and taken away, with the digests that repositories have them under. */
import { OverlayError } from '../../base/errors.js';
import type { Digest } from '../model/digest.js';
import type { Descriptor } from '../model/manifest.js';
import type { Platform } from '../model/platform.js';
import { fullName, parseName, parseReference, repositoryOf } from '../model/reference.js';
import {
  changeIndex,
  findImage,
  nameOf,
  REFERENCE_NAME,
  REPOSITORY_DIGEST,
  repositoryDigestOf,
} from './images.js';
import { StoreLock } from './lock.js';
import type { Store } from './store.js';

export interface Naming {
  manifestDigest: Digest;
  mediaType: string;
  size: number;
  /** In full; without one the image is kept without a name. */
  name?: string | undefined;
  repositoryDigest?: string | undefined;
  /** As an index states it; without one what is known of the manifest already stays. */
  stated?: Platform | undefined;
}

/** Gives an image a name, or just keeps it. What had the name before stays, without it. */
export async function nameImage(store: Store, naming: Naming): Promise<void> {
  const { manifestDigest: digest, mediaType, size, name, repositoryDigest } = naming;
  const annotations = {
    ...(name === undefined ? {} : { [REFERENCE_NAME]: name }),
    ...(repositoryDigest === undefined ? {} : { [REPOSITORY_DIGEST]: repositoryDigest }),
  };
  await changeIndex(store, (manifests) => {
    const platform = naming.stated ?? manifests.find((known) => known.digest === digest)?.platform;
    const all = [...withoutName(manifests, name), { mediaType, digest, size, annotations }];
    const said = all.map((one) => (platform && one.digest === digest ? { ...one, platform } : one));
    return withoutSuperfluous(said);
  });
}

/** Takes a name away; its image stays, and is known by the digest that the name's registry has it under. */
function withoutName(manifests: readonly Descriptor[], name: string | undefined): Descriptor[] {
  return manifests.map((known) => {
    if (name === undefined || nameOf(known) !== name) return known;
    const { [REFERENCE_NAME]: _, ...annotations } = known.annotations ?? {};
    return { ...known, annotations };
  });
}

/** Leaves out what has no name and says nothing of its image that another descriptor does not. */
function withoutSuperfluous(manifests: readonly Descriptor[]): Descriptor[] {
  const saysAll = (one: Descriptor, other: Descriptor): boolean =>
    repositoryDigestOf(other) === undefined || repositoryDigestOf(one) === repositoryDigestOf(other);
  return manifests.filter(
    (known, place) =>
      nameOf(known) !== undefined ||
      !manifests.some(
        (other, otherPlace) =>
          otherPlace !== place &&
          other.digest === known.digest &&
          saysAll(other, known) &&
          // Of two that say the same, the later stays.
          (nameOf(other) !== undefined || otherPlace > place || !saysAll(known, other)),
      ),
  );
}

/**
 * Takes a name from an image that has others, or digests of other repositories. The digests
 * of the name's repository go with its last tag, as Docker has it.
 */
export async function untag(store: Store, name: string): Promise<void> {
  const repository = repositoryOf(parseName(name));
  const isOfRepository = (full: string | undefined): boolean =>
    full !== undefined && repositoryOf(parseName(full)) === repository;
  await changeIndex(store, (manifests) => {
    const { digest } = manifests.find((known) => nameOf(known) === name) ?? {};
    const rest = manifests.filter((known) => nameOf(known) !== name);
    const same = rest.filter((known) => known.digest === digest);
    if (same.some((known) => isOfRepository(nameOf(known)))) return rest;
    return rest.filter((known) => known.digest !== digest || !isOfRepository(repositoryDigestOf(known)));
  });
}

/** Takes the digest of a repository from an image that has names, or other digests. */
export async function forgetDigest(store: Store, repositoryDigest: string): Promise<void> {
  await changeIndex(store, (manifests) =>
    withoutSuperfluous(
      manifests.map((known) => {
        if (repositoryDigestOf(known) !== repositoryDigest) return known;
        const { [REPOSITORY_DIGEST]: _, ...annotations } = known.annotations ?? {};
        return { ...known, annotations };
      }),
    ),
  );
}

/** Takes an image with all its names from the list. */
export async function forgetImage(store: Store, manifestDigest: Digest): Promise<void> {
  await changeIndex(store, (manifests) => manifests.filter(({ digest }) => digest !== manifestDigest));
}

/** One more name. Throws UsageError for what is no name, or has a digest. */
export async function tagImage(store: Store, source: string, target: string): Promise<string> {
  // What is found must still be there when it has its name.
  using _lock = await StoreLock.take(store.root, 'collection', true);
  const { image } = findImage(store, source);
  const reference = parseReference(target);
  if (reference.digest !== undefined) {
    throw new OverlayError({
      operation: 'tag',
      path: target,
      reason: 'a name with a digest is given by what the image holds',
      remedy: 'give NAME[:TAG]',
    });
  }
  const name = fullName(reference);
  const size = store.readDocument(image.manifestDigest).length;
  const keeps = image.repositoryDigests.find(
    (digest) => repositoryOf(parseName(digest)) === repositoryOf(reference),
  );
  await nameImage(store, {
    manifestDigest: image.manifestDigest,
    mediaType: image.mediaType,
    size,
    name,
    repositoryDigest: keeps,
  });
  return name;
}
