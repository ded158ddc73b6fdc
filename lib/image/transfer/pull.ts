// SPDX-License-Identifier: MIT
/** From a registry into the store: the manifest, the configuration, and the layers that are not there yet. */
import { setTimeout as delay } from 'node:timers/promises';
import { OverlayError } from '../../base/errors.js';
import { findCredentials } from '../credentials/credentials.js';
import { type Digest, shortId } from '../model/digest.js';
import { parseConfig } from '../model/image-config.js';
import { type Descriptor, isIndexType, type Manifest, parseManifest } from '../model/manifest.js';
import { type DocumentSource, type FoundManifest, ManifestSearch } from '../model/manifest-search.js';
import { machinePlatform, type Platform, platformName } from '../model/platform.js';
import { familiarName, fullName, type Reference, repositoryOf } from '../model/reference.js';
import { isAbsence, type RegistryError } from '../registry/answer.js';
import { endpointsFor, type RegistryConfig } from '../registry/config.js';
import { RegistryHttp } from '../registry/http.js';
import { type FetchedManifest, Repository } from '../registry/registry.js';
import { Warnings } from '../registry/warnings.js';
import { lockLayer, pathsBelow, storeLayer } from '../store/layers.js';
import { StoreLock } from '../store/lock.js';
import { nameImage } from '../store/naming.js';
import type { Store } from '../store/store.js';
import { together } from '../store/together.js';
import type { UnpackLimits } from '../unpack/unpack.js';
import { downloadBlob } from './download.js';
import type { TransferProgress } from './progress.js';

export interface PullOptions {
  /** Asked for, and refused where it is not there; without one the machine's is preferred. */
  platform?: Platform | undefined;
  registries: RegistryConfig;
  progress: TransferProgress;
  /** What was told already, where several images are pulled. */
  warnings?: Warnings | undefined;
  limits?: UnpackLimits | undefined;
  signal?: AbortSignal | undefined;
}

export interface Pulled {
  /** Of the manifest or index under that name. */
  digest: Digest;
  /** False where everything was there already. */
  isNew: boolean;
}

/** For the layers below, before a layer is placed without their attributes. */
const LONGEST_WAIT_MS = 600_000;
/** Layers that are fetched at once. */
const PARALLEL = 3;

/** Pulls an image. Throws an OverlayError that says which registry failed and why. */
export async function pullImage(store: Store, reference: Reference, options: PullOptions): Promise<Pulled> {
  using _lock = await StoreLock.take(store.root, 'collection', true, options.signal);
  const endpoints = endpointsFor(reference.domain, options.registries);
  const { warnings = new Warnings(options.progress) } = options;
  for (const endpoint of endpoints) {
    // A mirror gets a password of its own, never the registry's.
    const host = endpoint.isMirror ? endpoint.host : reference.domain;
    const http = new RegistryHttp(endpoint, () => findCredentials(host, reference.path), warnings);
    try {
      return await pullFrom(store, reference, new Repository(http, reference.path), options);
    } catch (failure) {
      if (!endpoint.isMirror || isLocal(failure)) throw failure;
      const { message, cause } = failure as Error;
      options.progress.note(
        `mirror ${endpoint.host} ${isAbsence(cause) ? 'does not have it' : `failed: ${message}`}`,
      );
    } finally {
      http.close();
    }
  }
  throw new Error('a registry is asked after its mirrors');
}

/** What a registry has or says. A full disk or a hostile layer is no better elsewhere. */
const FOREIGN = ['ask registry', 'ask proxy', 'download', 'pull', 'read', 'read a digest', 'verify'];

function isLocal(failure: unknown): boolean {
  return !(failure instanceof OverlayError) || !FOREIGN.includes(failure.operation);
}

async function pullFrom(
  store: Store,
  reference: Reference,
  repository: Repository,
  options: PullOptions,
): Promise<Pulled> {
  const named = await fetchNamed(reference, repository, options.signal);
  const chosen = await chooseManifest(store, named, repository, familiarName(reference), options);
  const what = `${repository.name}@${chosen.digest}`;
  const manifest = parseManifest(chosen.bytes, what);
  const config = await fetchConfig(store, manifest.config, repository, options.signal);
  const { diff_ids: diffIds } = parseConfig(config, what, manifest.layers.length).rootfs;
  const added = await fetchLayers(store, manifest, diffIds, repository, options);
  store.writeDocument(config);
  const isKnown = store.hasBlob(chosen.digest);
  store.writeDocument(chosen.bytes);
  await nameImage(store, {
    manifestDigest: chosen.digest,
    mediaType: chosen.mediaType,
    size: chosen.bytes.length,
    // A tag beside a digest was not looked at: whose it is nobody knows.
    name: reference.digest === undefined ? fullName(reference) : undefined,
    repositoryDigest: `${repositoryOf(reference)}@${named.digest}`,
    stated: chosen.stated,
  });
  return { digest: named.digest, isNew: added > 0 || !isKnown };
}

async function fetchNamed(
  reference: Reference,
  repository: Repository,
  signal: AbortSignal | undefined,
): Promise<FetchedManifest> {
  try {
    return await repository.fetchManifest(reference.digest ?? reference.tag!, signal);
  } catch (cause) {
    if (!isAbsence(cause)) throw cause;
    throw new OverlayError({
      operation: 'pull',
      path: familiarName(reference),
      reason: `${repository.http.endpoint.host} has no such image${wordsOf(cause)}`,
      remedy: 'see whether name and tag are right; a private image needs a login',
      cause,
    });
  }
}

function wordsOf({ refusal: { words } }: RegistryError): string {
  return words === '' ? '' : ` (${words})`;
}

/** Fetches what an image names; a registry that does not have it has lost it. */
async function fetchPart<T>(repository: Repository, part: string, fetch: () => Promise<T>): Promise<T> {
  try {
    return await fetch();
  } catch (cause) {
    if (!isAbsence(cause)) throw cause;
    throw new OverlayError({
      operation: 'pull',
      path: `${repository.http.endpoint.host}/${repository.path}`,
      reason: `the registry has lost the ${part}${wordsOf(cause)}`,
      cause,
    });
  }
}

/** The image that serves. One that is no index's is taken for any machine, unless a platform is asked for. */
async function chooseManifest(
  store: Store,
  named: FetchedManifest,
  repository: Repository,
  what: string,
  { platform, progress, signal }: PullOptions,
): Promise<FoundManifest> {
  const wanted = platform ?? machinePlatform();
  let lost: unknown;
  const unlessLost = async <T>(part: Promise<T>): Promise<T | undefined> => {
    try {
      return await part;
    } catch (failure) {
      if (!isAbsence((failure as Error).cause)) throw failure;
      lost ??= failure;
      return undefined;
    }
  };
  const source: DocumentSource = {
    manifest: async (descriptor) =>
      descriptor.digest === named.digest
        ? named.bytes
        : (await unlessLost(fetchListed(descriptor, repository, signal)))?.bytes,
    config: (descriptor) => unlessLost(fetchConfig(store, descriptor, repository, signal)),
  };
  const { bytes, digest, mediaType } = named;
  const search = new ManifestSearch(source, wanted, what);
  const found = await search.open({ mediaType, digest, size: bytes.length });
  if (found === undefined) throw lost ?? search.failure('pull');
  if (found.fit > 0) return found;
  if (platform !== undefined || isIndexType(mediaType)) throw search.failure('pull');
  progress.note(`${what} is for ${platformName(found.platform)}, this machine is ${platformName(wanted)}`);
  return found;
}

function fetchListed(
  { digest, size }: Descriptor,
  repository: Repository,
  signal: AbortSignal | undefined,
): Promise<FetchedManifest> {
  return fetchPart(repository, `manifest ${digest}`, () => repository.fetchManifest(digest, signal, size));
}

async function fetchConfig(
  store: Store,
  config: Descriptor,
  repository: Repository,
  signal: AbortSignal | undefined,
): Promise<Buffer> {
  if (store.hasBlob(config.digest)) return store.readDocument(config.digest);
  return fetchPart(repository, `configuration ${config.digest}`, () =>
    repository.fetchDocument(config, signal),
  );
}

/** Answers how many had to be fetched. */
async function fetchLayers(
  store: Store,
  manifest: Manifest,
  diffIds: readonly Digest[],
  repository: Repository,
  options: PullOptions,
): Promise<number> {
  // Each layer is begun before those above it, so none waits for one that waits for it.
  const waiting = manifest.layers.map((layer, index) => ({ layer, index, ...settleable() }));
  const placed = waiting.map(({ promise }) => promise);
  let added = 0;
  const work = async (signal: AbortSignal): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const { index, settle } = next;
      const below = async (): Promise<string[]> => {
        await Promise.race([Promise.all(placed.slice(0, index)), endOfWait(signal)]);
        return pathsBelow(store, diffIds, index);
      };
      if (await fetchLayer(store, next.layer, diffIds[index], repository, { ...options, signal, below }))
        added++;
      settle();
    }
  };
  await together((signal) => Array.from({ length: PARALLEL }, () => work(signal)), options.signal);
  return added;
}

function settleable(): { promise: Promise<void>; settle: () => void } {
  let settle: () => void = () => undefined;
  const promise = new Promise<void>((resolve) => {
    settle = resolve;
  });
  return { promise, settle };
}

/**
 * Rejects when the signal is aborted, and settles after a while all the same: two
 * commands whose images have the same layers in opposite orders wait for each other.
 */
function endOfWait(signal: AbortSignal): Promise<void> {
  return delay(LONGEST_WAIT_MS, undefined, { signal, ref: false });
}

interface LayerOptions extends PullOptions {
  below: () => Promise<string[]>;
}

/** Answers whether it had to be fetched. */
async function fetchLayer(
  store: Store,
  layer: Descriptor,
  diffId: Digest,
  repository: Repository,
  { progress, limits, signal, below }: LayerOptions,
): Promise<boolean> {
  const short = shortId(layer.digest);
  const isThere = (): boolean => store.hasLayer(diffId) && store.hasBlob(layer.digest);
  if (!isThere()) {
    using _lock = await lockLayer(store, layer.digest, signal);
    if (!isThere()) {
      progress.start(short, layer.size);
      const from = `layer ${short} from ${repository.http.endpoint.host}`;
      await storeLayer(store, downloadBlob(repository, layer, progress, signal), from, {
        digest: layer.digest,
        size: layer.size,
        diffId,
        limits,
        below,
        onProgress: (bytes) => progress.advance(short, bytes),
      });
      progress.done(short, 'Pull complete');
      return true;
    }
  }
  progress.done(short, 'Already exists');
  return false;
}
