// SPDX-License-Identifier: MIT
/** A blob into a repository: taken over from another one there, or uploaded, and begun anew where that breaks off. */
import { OverlayError } from '../../base/errors.js';
import type { Descriptor } from '../model/manifest.js';
import { RegistryError } from '../registry/answer.js';
import type { Repository } from '../registry/registry.js';
import { backOff, mayPass, TRIES } from '../registry/retrying.js';

/**
 * Brings a blob there, from one of `sources` (repositories of the same registry) if that can be.
 * Answers how, in Docker's words. Throws an OverlayError with those of the registry.
 */
export async function uploadBlob(
  repository: Repository,
  blob: Descriptor,
  sources: readonly string[],
  body: () => AsyncIterable<Uint8Array>,
): Promise<string> {
  if (await repository.hasBlob(blob.digest)) return 'Layer already exists';
  let begun: URL | undefined;
  for (const source of sources) {
    const outcome = await repository.mountBlob(blob.digest, source);
    if (begun !== undefined) await repository.cancelUpload(begun);
    if (outcome === 'mounted') return `Mounted from ${source}`;
    begun = outcome;
  }
  await upload(repository, blob, begun, body);
  return 'Pushed';
}

/** What is left of an upload that broke off differs from registry to registry: it begins anew, as a whole. */
async function upload(
  repository: Repository,
  blob: Descriptor,
  begun: URL | undefined,
  body: () => AsyncIterable<Uint8Array>,
): Promise<void> {
  let place = begun;
  for (let attempt = 1; ; attempt++) {
    place ??= await repository.beginUpload();
    try {
      return await repository.upload(place, blob, body);
    } catch (failure) {
      if (attempt >= TRIES || !isWorthAnother(failure)) throw failure;
      await backOff(attempt, failure instanceof RegistryError ? failure.refusal.retryAfter : 0);
    }
    // The answer may be all that was lost.
    if (await repository.hasBlob(blob.digest)) return;
    place = undefined;
  }
}

/** A connection that broke; trouble that passes; an upload that the registry has forgotten or holds to be elsewhere (404, 416). */
function isWorthAnother(failure: unknown): boolean {
  if (!(failure instanceof RegistryError)) {
    return failure instanceof OverlayError && /^ask (registry|proxy)$/.test(failure.operation);
  }
  const { refusal } = failure;
  return mayPass(refusal) || refusal.status === 404 || refusal.status === 416;
}
