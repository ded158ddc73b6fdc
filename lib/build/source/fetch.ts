// SPDX-License-Identifier: MIT
/** What ADD gets by HTTP: a file of the last part of the URL's path, for its owner alone (Dockerfile reference, "ADD"). */
import { createWriteStream, mkdirSync, openSync, utimesSync } from 'node:fs';
import { basename, join } from 'node:path';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { OverlayError } from '../../base/errors.js';
import { HttpTransport, type Response } from '../../image/connection/http-transport.js';
import { wayOf } from '../../image/connection/proxy-failure.js';
import { type Digest, Hasher } from '../../image/model/digest.js';
import { isUrl } from '../language/urls.js';

const MAX_REDIRECTS = 10;

function failure(url: string, reason: string, cause?: unknown): OverlayError {
  return new OverlayError({
    operation: 'fetch',
    path: url,
    reason,
    remedy: 'see that the address is right',
    cause,
  });
}

export interface FetchOptions {
  /** Is verified. */
  checksum: string | undefined;
  /** For the URL's host alone. */
  authorization: string | undefined;
  signal: AbortSignal;
}

/** Redirects are followed, but not from a secure address to another kind. */
async function request(
  transport: HttpTransport,
  url: URL,
  { authorization, signal }: FetchOptions,
): Promise<Response> {
  let at = url;
  for (let count = 0; count < MAX_REDIRECTS; count++) {
    const isSameHost = at.host === url.host;
    const headers = {
      'user-agent': 'tsoverlay',
      accept: '*/*',
      ...(authorization === undefined || !isSameHost ? {} : { authorization }),
    };
    const answer = await transport.send(at, { method: 'GET', headers, signal });
    const { statusCode } = answer;
    const { location } = answer.headers;
    if (statusCode === 200) return answer;
    answer.body.destroy();
    if (statusCode < 300 || statusCode >= 400 || location === undefined)
      throw failure(url.href, `the server answers ${statusCode}${wayOf(answer)}`);
    const next = new URL(location, at);
    if (!isUrl(next.href) || (at.protocol === 'https:' && next.protocol !== 'https:'))
      throw failure(url.href, `it redirects to ${next.href}`);
    at = next;
  }
  throw failure(url.href, 'too many redirects');
}

function nameOf(url: URL): string {
  const name = basename(decodeURIComponent(url.pathname));
  if (name !== '' && name !== '/' && name !== '.' && name !== '..' && !name.includes('\0')) return name;
  throw failure(url.href, 'its path ends without the name of a file');
}

/** Fetches a file into a new directory. Throws an OverlayError. */
export async function fetchFile(
  text: string,
  directory: string,
  options: FetchOptions,
): Promise<{ name: string; digest: Digest }> {
  const { checksum, signal } = options;
  const url = new URL(text);
  const name = nameOf(url);
  mkdirSync(directory, { mode: 0o700 });
  const path = join(directory, name);
  const transport = new HttpTransport({ verifies: true });
  const hasher = new Hasher();
  try {
    const answer = await request(transport, url, options);
    const passage = new Transform({
      transform(chunk: Buffer, _encoding, done) {
        hasher.update(chunk);
        done(null, chunk);
      },
    });
    await pipeline(answer.body, passage, createWriteStream(path, { fd: openSync(path, 'wx', 0o600) }), {
      signal,
    });
    const modified = Date.parse(answer.headers['last-modified'] ?? '');
    const time = new Date(Number.isNaN(modified) ? 0 : modified);
    utimesSync(path, time, time);
  } catch (cause) {
    if (cause instanceof OverlayError || signal.aborted) throw cause;
    throw failure(text, `${(cause as Error).message}${wayOf(cause)}`, cause);
  } finally {
    transport.close();
  }
  const digest = hasher.digest();
  if (checksum !== undefined && digest !== checksum) {
    throw new OverlayError({
      operation: 'fetch',
      path: text,
      reason: `its digest is ${digest}, --checksum says ${checksum}`,
      remedy: 'find out which of them is right',
    });
  }
  return { name, digest };
}
