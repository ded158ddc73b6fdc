// SPDX-License-Identifier: MIT
/** One repository of a registry, in the words of the OCI distribution protocol (distribution-spec, "Endpoints"). */
import { OverlayError } from '../../base/errors.js';
import { type Digest, digestOf, isDigest } from '../model/digest.js';
import {
  type Descriptor,
  DOCKER_LIST,
  DOCKER_MANIFEST,
  documentType,
  LARGEST_DOCUMENT,
  OCI_INDEX,
  OCI_MANIFEST,
} from '../model/manifest.js';
import { type Answer, RegistryError } from './answer.js';
import type { RegistryHttp } from './http.js';
import { listPages } from './lists.js';

const ACCEPT = [OCI_INDEX, OCI_MANIFEST, DOCKER_LIST, DOCKER_MANIFEST].join(', ');

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

  /** `registry.example/library/nginx`, for messages. */
  get name(): string {
    return `${this.http.endpoint.host}/${this.path}`;
  }

  /**
   * A manifest or index by tag or digest, verified when asked by digest; `size` is what was
   * announced. The digest is that of the bytes: headers that claim another are not believed.
   */
  async fetchManifest(reference: string, signal?: AbortSignal, size?: number): Promise<FetchedManifest> {
    const what = `${this.name}${isDigest(reference) ? '@' : ':'}${reference}`;
    const { bytes, headers } = await this.http.read(
      {
        path: `${this.path}/manifests/${reference}`,
        scope: this.#pull,
        headers: { accept: ACCEPT, ...PLAIN },
        signal,
      },
      LARGEST_DOCUMENT,
      what,
      size,
    );
    const digest = digestOf(bytes);
    if (isDigest(reference) && digest !== reference) throw changed(what, digest);
    const type = headers['content-type']?.split(';')[0].trim();
    return { bytes, digest, mediaType: documentType(bytes, type, what) };
  }

  /** A configuration, whole and verified. */
  async fetchDocument({ digest, size }: Descriptor, signal?: AbortSignal): Promise<Buffer> {
    const what = `${this.name}@${digest}`;
    const call = { path: `${this.path}/blobs/${digest}`, scope: this.#pull, headers: PLAIN, signal };
    const { bytes } = await this.http.read(call, Math.min(size, LARGEST_DOCUMENT), what, size);
    const found = digestOf(bytes);
    if (found !== digest) throw changed(what, found);
    return bytes;
  }

  /** The answer with a blob's bytes; from `offset` on, if the registry can. */
  fetchBlob(digest: Digest, offset = 0, signal?: AbortSignal): Promise<Answer> {
    return this.http.call({
      path: `${this.path}/blobs/${digest}`,
      scope: this.#pull,
      headers: blobHeaders(offset),
      signal,
    });
  }

  /** The same from a place that an image names for it (descriptor.md, "urls"), to which nobody is known. */
  fetchElsewhere(url: string, offset = 0, signal?: AbortSignal): Promise<Answer> {
    return this.http.call({ path: url, scope: '', anonymous: true, headers: blobHeaders(offset), signal });
  }

  /**
   * Whether the repository says that it has a blob. An answer to HEAD has no words: what is
   * refused here is refused again, with the registry's reason, when the blob is pushed.
   */
  async hasBlob(digest: Digest): Promise<boolean> {
    try {
      const call = { method: 'HEAD', path: `${this.path}/blobs/${digest}`, scope: this.#push } as const;
      (await this.http.call(call)).body.destroy();
      return true;
    } catch (failure) {
      if (failure instanceof RegistryError) return false;
      throw failure;
    }
  }

  /**
   * Has the registry take a blob over from another repository of its own. Where it begins an
   * upload instead, the answer is its place; undefined where it does neither, for whatever reason.
   */
  async mountBlob(digest: Digest, from: string): Promise<'mounted' | URL | undefined> {
    try {
      const answer = await this.http.call({
        method: 'POST',
        path: `${this.path}/blobs/uploads/?mount=${digest}&from=${encodeURIComponent(from)}`,
        scope: `${this.#push} repository:${from}:pull`,
        tries: 1,
      });
      answer.body.destroy();
      if (answer.statusCode === 201) return 'mounted';
      const { location } = answer.headers;
      return location === undefined ? undefined : this.http.resolve(location, answer.url);
    } catch (failure) {
      if (failure instanceof OverlayError) return undefined;
      throw failure;
    }
  }

  /** Begins an upload; answers its place. */
  async beginUpload(): Promise<URL> {
    const answer = await this.http.call({
      method: 'POST',
      path: `${this.path}/blobs/uploads/`,
      scope: this.#push,
    });
    answer.body.destroy();
    return this.http.resolve(answer.headers.location, answer.url);
  }

  /** Gives an upload up. A registry that cannot be told forgets it some day. */
  async cancelUpload({ href }: URL): Promise<void> {
    try {
      const call = { method: 'DELETE', path: href, scope: this.#push, tries: 1 } as const;
      (await this.http.call(call)).body.destroy();
    } catch (failure) {
      if (!(failure instanceof OverlayError)) throw failure;
    }
  }

  /** Sends a blob in one piece to where its upload was begun; a failure is the end of that upload. */
  async upload(
    { origin, pathname, search }: URL,
    { digest, size }: Descriptor,
    body: () => AsyncIterable<Uint8Array>,
  ): Promise<void> {
    // What else the query holds may be signed, and stays as it is.
    const query = `${search === '' ? '?' : `${search}&`}digest=${encodeURIComponent(digest)}`;
    const answer = await this.http.call({
      method: 'PUT',
      path: `${origin}${pathname}${query}`,
      scope: this.#push,
      headers: { 'content-type': 'application/octet-stream', 'content-length': String(size) },
      body,
      tries: 1,
    });
    answer.body.destroy();
  }

  async pushManifest(reference: string, bytes: Buffer, mediaType: string): Promise<void> {
    const answer = await this.http.call({
      method: 'PUT',
      path: `${this.path}/manifests/${reference}`,
      scope: this.#push,
      headers: { 'content-type': mediaType },
      body: () => bytes,
    });
    answer.body.destroy();
  }

  /** All tags, sorted. */
  listTags(): Promise<string[]> {
    return listPages(this.http, `${this.path}/tags/list`, this.#pull, 'tags');
  }
}

/** An answer that is as it lies there: what is compressed on the way cannot be gone on with. */
const PLAIN = { 'accept-encoding': 'identity' };

function blobHeaders(offset: number): Record<string, string> {
  return offset > 0 ? { ...PLAIN, range: `bytes=${offset}-` } : PLAIN;
}

function changed(what: string, digest: Digest): OverlayError {
  return new OverlayError({
    operation: 'verify',
    path: what,
    reason: `its digest is ${digest}`,
    remedy: 'the registry or something on the way changed it; try again, or another mirror',
  });
}
