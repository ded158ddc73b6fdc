// SPDX-License-Identifier: MIT
/** From a registry into the store: the manifest, the configuration, and the layers that are not there yet. */
import { setTimeout as delay } from 'node:timers/promises';
import { OverlayError } from '../base/errors.js';
import { findCredentials } from './credentials.js';
import { type Digest, digestOf, shortId } from './digest.js';
import { downloadBlob } from './download.js';
import { nameImage } from './images.js';
import { lockLayer, pathsBelow, storeLayer } from './layer-store.js';
import {
  type Descriptor,
  isIndexType,
  LARGEST_DOCUMENT,
  type Manifest,
  parseConfig,
  parseIndex,
  parseManifest,
} from './manifest.js';
import { choosePlatform, type Platform, platformName } from './platform.js';
import { familiarName, fullName, type Reference, repositoryOf } from './reference.js';
import { type FetchedManifest, Repository } from './registry.js';
import { type Endpoint, endpointsFor, type RegistryConfig } from './registry-config.js';
import { RegistryHttp, readBody } from './registry-http.js';
import type { Store } from './store.js';
import { StoreLock } from './store-lock.js';
import { together } from './together.js';
import type { UnpackLimits } from './unpack.js';

/** How far a pull or a push is; `layer` is its short digest. */
export interface TransferProgress {
  start(layer: string, size: number): void;
  advance(layer: string, bytes: number): void;
  /** `Already exists`, `Pull complete`… */
  done(layer: string, how: string): void;
  /** Something that people should know, such as a mirror that did not answer. */
  note(message: string): void;
}

export interface PullOptions {
  platform: Platform;
  registries: RegistryConfig;
  progress: TransferProgress;
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
  for (const endpoint of endpoints) {
    // A mirror gets a password of its own, never the registry's.
    const host = endpoint.isMirror ? endpoint.host : reference.domain;
    const http = new RegistryHttp(endpoint, () => findCredentials(host, reference.path));
    try {
      const pulled = await pullFrom(store, reference, new Repository(http, reference.path), options);
      if (pulled !== undefined) return pulled;
      if (endpoint.isMirror) options.progress.note(`mirror ${endpoint.host} does not have it`);
    } catch (failure) {
      if (!endpoint.isMirror || isLocal(failure)) throw failure;
      options.progress.note(`mirror ${endpoint.host} failed: ${(failure as Error).message}`);
    } finally {
      http.close();
    }
  }
  throw unknown(reference, endpoints);
}

/** A full disk or a hostile layer is no better elsewhere. */
function isLocal(failure: unknown): boolean {
  return (
    !(failure instanceof OverlayError) ||
    !['ask registry', 'verify', 'read', 'download'].includes(failure.operation)
  );
}

function unknown(reference: Reference, endpoints: readonly Endpoint[]): OverlayError {
  return new OverlayError({
    operation: 'pull',
    path: familiarName(reference),
    reason: `${endpoints.at(-1)!.host} has no such image`,
    remedy: 'see whether name and tag are right; a private image needs a login',
  });
}

async function pullFrom(
  store: Store,
  reference: Reference,
  repository: Repository,
  options: PullOptions,
): Promise<Pulled | undefined> {
  const named = await repository.fetchManifest(reference.digest ?? reference.tag!, options.signal);
  if (named === undefined) return undefined;
  const chosen = isIndexType(named.mediaType)
    ? await chooseManifest(named, repository, reference, options)
    : named;
  const what = familiarName(reference);
  const manifest = parseManifest(chosen.bytes, what);
  const config = await fetchConfig(store, manifest.config, repository, what, options.signal);
  const { diff_ids: diffIds } = parseConfig(config, what, manifest.layers.length).rootfs;
  const added = await fetchLayers(store, manifest, diffIds, repository, options);
  store.writeDocument(config);
  const isKnown = store.hasBlob(chosen.digest);
  store.writeDocument(chosen.bytes);
  await nameImage(store, {
    manifestDigest: chosen.digest,
    mediaType: chosen.mediaType,
    size: chosen.bytes.length,
    name:
      reference.digest === undefined || reference.tag !== undefined
        ? fullName({ ...reference, digest: undefined })
        : undefined,
    repositoryDigest: `${repositoryOf(reference)}@${named.digest}`,
  });
  return { digest: named.digest, isNew: added > 0 || !isKnown };
}

async function chooseManifest(
  { bytes }: FetchedManifest,
  repository: Repository,
  reference: Reference,
  { platform, signal }: PullOptions,
): Promise<FetchedManifest> {
  const { manifests } = parseIndex(bytes, familiarName(reference));
  const chosen = choosePlatform(manifests, platform);
  if (chosen === undefined) {
    const offered = manifests
      .map((offer) => offer.platform)
      .filter((offer) => offer !== undefined && offer.os !== 'unknown')
      .map((offer) => platformName(offer!));
    throw new OverlayError({
      operation: 'pull',
      path: familiarName(reference),
      reason: `there is none for ${platformName(platform)}`,
      remedy: `choose another with --platform: ${[...new Set(offered)].join(', ') || 'it names none'}`,
    });
  }
  const fetched = await repository.fetchManifest(chosen.digest, signal);
  if (fetched !== undefined) return fetched;
  throw new OverlayError({
    operation: 'pull',
    path: familiarName(reference),
    reason: `the registry has lost the manifest ${chosen.digest}`,
  });
}

async function fetchConfig(
  store: Store,
  { digest, size }: Descriptor,
  repository: Repository,
  what: string,
  signal: AbortSignal | undefined,
): Promise<Buffer> {
  if (store.hasBlob(digest)) return store.readDocument(digest);
  const response = await repository.fetchBlob(digest, 0, signal);
  if (response === undefined) {
    throw new OverlayError({
      operation: 'pull',
      path: what,
      reason: `the registry has lost the configuration ${digest}`,
    });
  }
  const bytes = await readBody(response, Math.min(size, LARGEST_DOCUMENT), `the configuration of ${what}`);
  if (digestOf(bytes) === digest) return bytes;
  throw new OverlayError({
    operation: 'verify',
    path: what,
    reason: 'its configuration is not what was announced',
  });
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
      await storeLayer(store, downloadBlob(repository, layer, progress, signal), `layer ${short}`, {
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
