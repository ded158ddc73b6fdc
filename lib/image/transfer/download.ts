// SPDX-License-Identifier: MIT
/** A blob as a stream that goes on where it broke off: the rest is asked for by range (RFC 9110, 14). */
import { pipeline, type Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { createBrotliDecompress, createUnzip } from 'node:zlib';
import { OverlayError } from '../../base/errors.js';
import { shortId } from '../model/digest.js';
import type { Descriptor } from '../model/manifest.js';
import { type Answer, isAbsence, RegistryError } from '../registry/answer.js';
import type { Repository } from '../registry/registry.js';
import type { TransferProgress } from './progress.js';

/** Connections that broke off without a byte, one after another. */
const MOST_FRUITLESS = 4;
const WAIT_MS = 250;

/** Where a blob can be had. */
interface Place {
  /** `registry.example:5000` */
  host: string;
  /** Answers with the bytes from `offset` on, or with all. */
  open(offset: number): Promise<Answer>;
}

/**
 * The bytes of a blob. A connection that breaks is made again, as long as each
 * brings something. Throws an OverlayError when no more can be had; who reads
 * verifies the digest.
 */
export async function* downloadBlob(
  repository: Repository,
  blob: Descriptor,
  progress: TransferProgress,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const places = placesOf(repository, blob, signal);
  let received = 0;
  for (const [index, place] of places.entries()) {
    try {
      for await (const chunk of downloadFrom(place, blob, received, progress, signal)) {
        received += chunk.length;
        yield chunk;
      }
      return;
    } catch (failure) {
      const next = places[index + 1];
      if (next === undefined || !(failure instanceof OverlayError)) throw failure;
      progress.note(`layer ${shortId(blob.digest)} is not to be had from ${place.host}; asking ${next.host}`);
    }
  }
}

/** The registry, and then what a layer that is not distributed with its image names instead (descriptor.md, "urls"). */
function placesOf(repository: Repository, { digest, urls }: Descriptor, signal?: AbortSignal): Place[] {
  const elsewhere = (Array.isArray(urls) ? urls : []).filter(isWebAddress).map((url) => ({
    host: new URL(url).host,
    open: (offset: number) => repository.fetchElsewhere(url, offset, signal),
  }));
  const { host } = repository.http.endpoint;
  return [{ host, open: (offset) => repository.fetchBlob(digest, offset, signal) }, ...elsewhere];
}

function isWebAddress(url: unknown): url is string {
  return typeof url === 'string' && /^https?:/i.test(url) && URL.canParse(url);
}

/** The bytes from `offset` on, which the reader does not have yet. */
async function* downloadFrom(
  place: Place,
  blob: Descriptor,
  offset: number,
  progress: TransferProgress,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
  const { digest, size } = blob;
  let received = offset;
  let hasRanges = true;
  for (let fruitless = 0; received < size || size === 0; ) {
    const before = received;
    const part = await open(place, blob, hasRanges ? received : 0);
    if (part === undefined) {
      hasRanges = false;
      continue;
    }
    let broken: Error | undefined;
    try {
      for await (const fresh of after(part.body, received - part.start)) {
        received += fresh.length;
        yield fresh;
      }
    } catch (failure) {
      broken = failure as Error;
    } finally {
      part.body.destroy();
    }
    if (signal?.aborted === true) throw signal.reason as Error;
    if (received >= size) return;
    fruitless = received > before ? 0 : fruitless + 1;
    if (fruitless >= MOST_FRUITLESS) throw cutOff(place, blob, received, broken);
    progress.note(
      `layer ${shortId(digest)} broke off after ${received} of ${size} bytes; going on from there`,
    );
    await delay(WAIT_MS * 2 ** fruitless, undefined, { signal });
  }
}

/** What comes after so many bytes: a registry that knows no ranges sends what was had already again. */
async function* after(body: AsyncIterable<Buffer>, bytes: number): AsyncGenerator<Buffer> {
  let skip = bytes;
  for await (const chunk of body) {
    const fresh = chunk.subarray(Math.min(skip, chunk.length));
    skip -= chunk.length - fresh.length;
    if (fresh.length > 0) yield fresh;
  }
}

interface Part {
  /** Where in the blob its first byte is; never after what was asked for. */
  start: number;
  body: Readable;
}

/** Undefined where the rest was asked for, and what came cannot be joined to what is there. */
async function open(place: Place, blob: Descriptor, offset: number): Promise<Part | undefined> {
  let answer: Answer;
  try {
    answer = await place.open(offset);
  } catch (failure) {
    if (offset > 0 && failure instanceof RegistryError && failure.refusal.status === 416) return undefined;
    throw isAbsence(failure) ? lost(place, blob, failure) : failure;
  }
  const body = plainBody(answer, blob.size);
  if (answer.statusCode !== 206) return { start: 0, body };
  // Without it, or with several parts, nobody knows what came (RFC 9110, 14.4 and 15.3.7).
  const start = Number(/^bytes\s+(\d+)-/i.exec(answer.headers['content-range'] ?? '')?.[1] ?? Number.NaN);
  if (start <= offset && body === answer.body) return { start, body };
  body.destroy();
  if (offset > 0) return undefined;
  throw new OverlayError({
    operation: 'download',
    path: `layer ${shortId(blob.digest)}`,
    reason: `${place.host} answers with a part of it, though all was asked for`,
  });
}

/** Undoes a coding that was put on for the way; what has its length with it on has it for good. */
function plainBody({ headers, body }: Answer, size: number): Readable {
  const coding = headers['content-encoding'] ?? 'identity';
  if (coding === 'identity' || Number(headers['content-length']) === size) return body;
  // What breaks off, or is coded otherwise, fails where it is read.
  return pipeline(body, coding === 'br' ? createBrotliDecompress() : createUnzip(), () => undefined);
}

function lost({ host }: Place, { digest }: Descriptor, cause: RegistryError): OverlayError {
  const { words } = cause.refusal;
  return new OverlayError({
    operation: 'download',
    path: `layer ${shortId(digest)}`,
    reason: `${host} has lost it${words === '' ? '' : ` (${words})`}`,
    cause,
  });
}

function cutOff(
  { host }: Place,
  { digest, size }: Descriptor,
  received: number,
  cause: Error | undefined,
): OverlayError {
  return new OverlayError({
    operation: 'download',
    path: `layer ${shortId(digest)}`,
    reason: `${host} breaks off after ${received} of ${size} bytes`,
    remedy: 'try again later, or another mirror',
    cause,
  });
}
