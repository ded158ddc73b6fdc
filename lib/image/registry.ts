// SPDX-License-Identifier: MIT
/** One repository of a registry, in the words of the OCI distribution protocol (distribution-spec, "Endpoints"). */
import { OverlayError } from '../base/errors.js';
import { type Digest, digestOf, isDigest } from './digest.js';
import {
  DOCKER_LIST,
  DOCKER_MANIFEST,
  documentType,
  LARGEST_DOCUMENT,
  OCI_INDEX,
  OCI_MANIFEST,
} from './manifest.js';
import { type RegistryHttp, type Response, readBody } from './registry-http.js';

const ACCEPT = [OCI_INDEX, OCI_MANIFEST, DOCKER_LIST, DOCKER_MANIFEST].join(', ');
const LARGEST_LISTING = 64 << 20;

export interface FetchedManifest {
  bytes: Buffer;
  digest: Digest;
  mediaType: string;
}

export class Repository {
  constructor(
    readonly http: RegistryHttp,
    /** `library/nginx` */
    readonly path: string,
  ) {}

  get #pull(): string {
    return `repository:${this.path}:pull`;
  }

  get #push(): string {
    return `repository:${this.path}:pull,push`;
  }

  /** A manifest or index by tag or digest; undefined where the repository has none. Verified when asked by digest. */
  async fetchManifest(reference: string, signal?: AbortSignal): Promise<FetchedManifest | undefined> {
    const what = `${this.http.endpoint.host}/${this.path}:${reference}`;
    const response = await this.http.call({
      path: `${this.path}/manifests/${reference}`,
      scope: this.#pull,
      headers: { accept: ACCEPT },
      signal,
    });
    if (response.statusCode === 404) return drop(response);
    const bytes = await readBody(response, LARGEST_DOCUMENT, what);
    const digest = digestOf(bytes);
    if (isDigest(reference) && digest !== reference) {
      throw new OverlayError({
        operation: 'verify',
        path: what,
        reason: `its digest is ${digest}`,
        remedy: 'the registry or something on the way changed it; try again, or another mirror',
      });
    }
    const type = response.headers['content-type'];
    return {
      bytes,
      digest,
      mediaType: documentType(bytes, typeof type === 'string' ? type.split(';')[0] : undefined, what),
    };
  }

  /** The answer with a blob's bytes from `offset` on; undefined where the repository has none. */
  async fetchBlob(digest: Digest, offset = 0, signal?: AbortSignal): Promise<Response | undefined> {
    const response = await this.http.call({
      path: `${this.path}/blobs/${digest}`,
      scope: this.#pull,
      headers: offset > 0 ? { range: `bytes=${offset}-` } : {},
      signal,
    });
    return response.statusCode === 404 ? drop(response) : response;
  }

  async hasBlob(digest: Digest): Promise<boolean> {
    const response = await this.http.call({
      method: 'HEAD',
      path: `${this.path}/blobs/${digest}`,
      scope: this.#push,
    });
    response.body.destroy();
    return response.statusCode !== 404;
  }

  /** Has the registry take a blob over from another repository of its own; false where it does not. */
  async mountBlob(digest: Digest, from: string): Promise<boolean> {
    const response = await this.http.call({
      method: 'POST',
      path: `${this.path}/blobs/uploads/?mount=${digest}&from=${encodeURIComponent(from)}`,
      scope: `${this.#push} repository:${from}:pull`,
    });
    response.body.destroy();
    if (response.statusCode === 201) return true;
    const { location } = response.headers;
    // The registry has begun an upload instead, which nobody will finish.
    if (typeof location === 'string') await this.#cancel(location);
    return false;
  }

  async #cancel(location: string): Promise<void> {
    const response = await this.http.call({ method: 'DELETE', path: location, scope: this.#push });
    response.body.destroy();
  }

  /** Uploads a blob in one piece. */
  async pushBlob(
    digest: Digest,
    size: number,
    body: () => AsyncIterable<Uint8Array> | Buffer,
  ): Promise<void> {
    const started = await this.http.call({
      method: 'POST',
      path: `${this.path}/blobs/uploads/`,
      scope: this.#push,
    });
    started.body.destroy();
    const { location } = started.headers;
    if (typeof location !== 'string')
      throw this.#refused('push', 'the registry gave no place for the upload');
    const place = new URL(location, 'http://relative');
    place.searchParams.set('digest', digest);
    const response = await this.http.call({
      method: 'PUT',
      path: place.host === 'relative' ? `${place.pathname}${place.search}` : place.href,
      scope: this.#push,
      headers: { 'content-type': 'application/octet-stream', 'content-length': String(size) },
      body,
    });
    response.body.destroy();
    if (response.statusCode === 404) throw this.#refused('push', 'the registry lost the upload');
  }

  async pushManifest(reference: string, bytes: Buffer, mediaType: string): Promise<void> {
    const response = await this.http.call({
      method: 'PUT',
      path: `${this.path}/manifests/${reference}`,
      scope: this.#push,
      headers: { 'content-type': mediaType },
      body: () => bytes,
    });
    response.body.destroy();
    if (response.statusCode === 404) throw this.#refused('push', 'the registry has no such repository');
  }

  /** All tags, sorted; undefined where the registry does not know the repository. */
  async listTags(): Promise<string[] | undefined> {
    return pages(this.http, `${this.path}/tags/list?n=1000`, this.#pull, 'tags');
  }

  #refused(operation: string, reason: string): OverlayError {
    return new OverlayError({ operation, path: `${this.http.endpoint.host}/${this.path}`, reason });
  }
}

function drop(response: Response): undefined {
  response.body.destroy();
  return undefined;
}

/** All repositories of a registry; undefined where it does not tell. */
export function listRepositories(http: RegistryHttp): Promise<string[] | undefined> {
  return pages(http, '_catalog?n=1000', 'registry:catalog:*', 'repositories');
}

/** A listing that comes in pages, each naming the next in a Link header (RFC 8288). */
async function pages(
  http: RegistryHttp,
  first: string,
  scope: string,
  key: string,
): Promise<string[] | undefined> {
  const found: string[] = [];
  const seen = new Set<string>();
  for (let path: string | undefined = first; path !== undefined && !seen.has(path); ) {
    seen.add(path);
    const response = await http.call({ path, scope });
    if (response.statusCode === 404) return drop(response);
    const link = response.headers.link;
    const body = await readBody(response, LARGEST_LISTING, `${http.endpoint.host}/${path}`);
    const listed = (JSON.parse(body.toString('utf8')) as Record<string, unknown>)[key];
    if (Array.isArray(listed)) found.push(...listed.filter((item) => typeof item === 'string'));
    path = /<([^>]+)>;\s*rel="?next"?/.exec(String(link ?? ''))?.[1];
  }
  return found.sort();
}
