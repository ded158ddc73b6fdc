// SPDX-License-Identifier: MIT
/** A blob as a stream that goes on where it broke off: the rest is asked for by range (RFC 9110, 14). */
import { setTimeout as delay } from 'node:timers/promises';
import { OverlayError } from '../base/errors.js';
import { shortId } from './digest.js';
import type { Descriptor } from './manifest.js';
import type { TransferProgress } from './pull.js';
import type { Repository } from './registry.js';
import type { Response } from './registry-http.js';

/** Connections that broke off without a byte, one after another. */
const MOST_FRUITLESS = 4;
const WAIT_MS = 250;

/**
 * The bytes of a blob. A connection that breaks is made again, as long as each
 * brings something. Throws an OverlayError when no more can be had; who reads
 * verifies the digest.
 */
export async function* downloadBlob(
  repository: Repository,
  { digest, size }: Descriptor,
  progress: TransferProgress,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array> {
  let received = 0;
  for (let fruitless = 0; received < size || size === 0; ) {
    const before = received;
    let broken: Error | undefined;
    const response = await open(repository, digest, received, signal);
    let skip = response.statusCode === 206 ? 0 : received;
    try {
      for await (const chunk of response.body as AsyncIterable<Buffer>) {
        // A registry that knows no ranges sends everything again.
        const fresh = chunk.subarray(Math.min(skip, chunk.length));
        skip -= chunk.length - fresh.length;
        received += fresh.length;
        if (fresh.length > 0) yield fresh;
      }
    } catch (failure) {
      broken = failure as Error;
    } finally {
      response.body.destroy();
    }
    if (signal?.aborted === true) throw signal.reason as Error;
    if (received >= size) return;
    fruitless = received > before ? 0 : fruitless + 1;
    if (fruitless >= MOST_FRUITLESS) throw cutOff(repository, digest, received, size, broken);
    progress.note(
      `layer ${shortId(digest)} broke off after ${received} of ${size} bytes; going on from there`,
    );
    await delay(WAIT_MS * 2 ** fruitless, undefined, { signal });
  }
}

async function open(
  repository: Repository,
  digest: Descriptor['digest'],
  offset: number,
  signal: AbortSignal | undefined,
): Promise<Response> {
  const response = await repository.fetchBlob(digest, offset, signal);
  if (response !== undefined) return response;
  throw new OverlayError({
    operation: 'download',
    path: `layer ${shortId(digest)}`,
    reason: `${repository.http.endpoint.host} has lost it`,
  });
}

function cutOff(
  { http }: Repository,
  digest: Descriptor['digest'],
  received: number,
  size: number,
  cause: Error | undefined,
): OverlayError {
  return new OverlayError({
    operation: 'download',
    path: `layer ${shortId(digest)}`,
    reason: `${http.endpoint.host} breaks off after ${received} of ${size} bytes`,
    remedy: 'try again later, or another mirror',
    cause,
  });
}
