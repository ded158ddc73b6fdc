// SPDX-License-Identifier: MIT
/**
 * A registry in memory that speaks the distribution protocol, and that a test tells what it does
 * otherwise: each request goes to `behave` first, which answers it or passes it on.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { gzipSync } from 'node:zlib';
import type { Test } from 'tap';

export const MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
export const INDEX = 'application/vnd.oci.image.index.v1+json';
export const CONFIG = 'application/vnd.oci.image.config.v1+json';
export const LAYER = 'application/vnd.oci.image.layer.v1.tar+gzip';

export interface Descriptor {
  mediaType: string;
  digest: string;
  size: number;
  [more: string]: unknown;
}

export interface Asked {
  method: string;
  /** Path and query. */
  url: string;
  headers: IncomingMessage['headers'];
  body: Buffer;
}

/** Answers a request, or calls `pass` for what a sound registry does. */
export type Odd = (asked: Asked, response: ServerResponse, pass: () => void) => unknown;

export interface OddOptions {
  /** PEM; it speaks TLS then. */
  tls?: { key: string; cert: string; ca?: string; requestCert?: boolean };
  /** The address it listens on. */
  address?: string;
  /** Takes a request over before its body is read; false leaves it. */
  early?: (message: IncomingMessage, response: ServerResponse) => boolean;
}

export const digestOf = (bytes: Uint8Array): string =>
  `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

const separator = (reference: string): string => (reference.includes(':') ? '@' : ':');

export class OddRegistry {
  /** `127.0.0.1:PORT` */
  host = '';
  readonly seen: Asked[] = [];
  readonly blobs = new Map<string, Buffer>();
  /** By `NAME:TAG` and `NAME@DIGEST`. */
  readonly manifests = new Map<string, { type: string; bytes: Buffer }>();
  /** What an upload's Location says, from the path that a sound registry gives. */
  place = (path: string): string => path;
  #uploads = new Map<string, Buffer>();
  #behave: Odd;

  private constructor(behave: Odd) {
    this.#behave = behave;
  }

  /** Starts one; it ends with the test. */
  static async start(
    t: Test,
    behave: Odd = (_asked, _response, pass) => pass(),
    options: OddOptions = {},
  ): Promise<OddRegistry> {
    const registry = new OddRegistry(behave);
    const listener: RequestListener = (message, response) => {
      if (options.early?.(message, response) !== true) void registry.#serve(message, response);
    };
    const server =
      options.tls === undefined
        ? createServer({ maxHeaderSize: 1 << 20 }, listener)
        : createTlsServer({ ...options.tls, maxHeaderSize: 1 << 20 }, listener);
    const address = options.address ?? '127.0.0.1';
    await new Promise<void>((resolve) => server.listen(0, address, resolve));
    const { port } = server.address() as AddressInfo;
    registry.host = address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
    t.teardown(() => {
      server.closeAllConnections();
      server.close();
    });
    return registry;
  }

  blob(bytes: Uint8Array, mediaType: string): Descriptor {
    const digest = digestOf(bytes);
    this.blobs.set(digest, Buffer.from(bytes));
    return { mediaType, digest, size: bytes.length };
  }

  /** Keeps a manifest or an index under its digest, and under a tag if one is given. */
  manifest(name: string, content: object, tag?: string): Descriptor {
    const bytes = Buffer.from(JSON.stringify(content));
    const type = (content as { mediaType?: string }).mediaType ?? MANIFEST;
    const digest = digestOf(bytes);
    this.manifests.set(`${name}@${digest}`, { type, bytes });
    if (tag !== undefined) this.manifests.set(`${name}:${tag}`, { type, bytes });
    return { mediaType: type, digest, size: bytes.length };
  }

  /** Makes an image of one layer with the given files; `config` is laid over its configuration. */
  image(
    name: string,
    tag: string,
    files: Record<string, string> = { file: 'x' },
    config: object = {},
  ): Descriptor {
    const archive = packFiles(files);
    const layer = this.blob(gzipSync(archive), LAYER);
    const configuration = {
      architecture: 'amd64',
      os: 'linux',
      config: {},
      rootfs: { type: 'layers', diff_ids: [digestOf(archive)] },
      ...config,
    };
    return this.manifest(
      name,
      {
        schemaVersion: 2,
        mediaType: MANIFEST,
        config: this.blob(Buffer.from(JSON.stringify(configuration)), CONFIG),
        layers: [layer],
      },
      tag,
    );
  }

  async #serve(message: IncomingMessage, response: ServerResponse): Promise<void> {
    const asked: Asked = {
      method: message.method!,
      url: message.url!,
      headers: message.headers,
      body: await buffer(message).catch(() => Buffer.alloc(0)),
    };
    this.seen.push(asked);
    await this.#behave(asked, response, () => void this.#answer(asked, response));
  }

  #answer({ method, url, headers, body }: Asked, response: ServerResponse): ServerResponse {
    const { pathname, searchParams } = new URL(url, 'http://registry');
    if (pathname === '/v2/' || pathname === '/v2') return send(response, 200, '{}');
    const [, name, kind, reference = ''] =
      /^\/v2\/(.+?)\/(manifests|blobs\/uploads|blobs|tags)\/(.*)$/.exec(pathname) ?? [];
    if (kind === 'blobs/uploads') return this.#upload(method, name, reference, searchParams, body, response);
    if (kind === 'manifests')
      return this.#manifest(method, `${name}${separator(reference)}${reference}`, body, headers, response);
    if (kind === 'tags') {
      const tags = [...this.manifests.keys()].filter((key) => key.startsWith(`${name}:`));
      return send(
        response,
        200,
        JSON.stringify({ name, tags: tags.map((key) => key.slice(name.length + 1)) }),
      );
    }
    const blob = kind === 'blobs' ? this.blobs.get(reference) : undefined;
    if (blob === undefined) return fail(response, 404, 'BLOB_UNKNOWN', 'blob unknown to registry');
    const from = Number(/^bytes=(\d+)-/.exec(headers.range ?? '')?.[1] ?? 0);
    const range = from > 0 ? { 'content-range': `bytes ${from}-${blob.length - 1}/${blob.length}` } : {};
    return send(response, from > 0 ? 206 : 200, blob.subarray(from), range, method === 'HEAD');
  }

  #manifest(
    method: string,
    key: string,
    body: Buffer,
    headers: Asked['headers'],
    response: ServerResponse,
  ): ServerResponse {
    if (method === 'PUT') {
      const [, name] = /^(.*?)[:@]/.exec(key)!;
      const digest = digestOf(body);
      for (const one of [key, `${name}@${digest}`])
        this.manifests.set(one, { type: headers['content-type'] ?? MANIFEST, bytes: body });
      return send(response, 201, '', {
        location: `/v2/${name}/manifests/${digest}`,
        'docker-content-digest': digest,
      });
    }
    const found = this.manifests.get(key);
    if (found === undefined) return fail(response, 404, 'MANIFEST_UNKNOWN', 'manifest unknown');
    const known = { 'content-type': found.type, 'docker-content-digest': digestOf(found.bytes) };
    return send(response, 200, found.bytes, known, method === 'HEAD');
  }

  #upload(
    method: string,
    name: string,
    id: string,
    query: URLSearchParams,
    body: Buffer,
    response: ServerResponse,
  ): ServerResponse {
    if (method === 'POST') {
      const mount = query.get('mount');
      if (mount !== null && this.blobs.has(mount))
        return send(response, 201, '', {
          location: `/v2/${name}/blobs/${mount}`,
          'docker-content-digest': mount,
        });
      const upload = String(this.#uploads.size + 1);
      this.#uploads.set(upload, Buffer.alloc(0));
      const location = this.place(`/v2/${name}/blobs/uploads/${upload}`);
      return send(response, 202, '', { location });
    }
    const upload = query.get('upload') ?? id;
    const begun = this.#uploads.get(upload);
    if (begun === undefined)
      return fail(response, 404, 'BLOB_UPLOAD_UNKNOWN', 'blob upload unknown to registry');
    const bytes = Buffer.concat([begun, body]);
    this.#uploads.set(upload, bytes);
    const location = `/v2/${name}/blobs/uploads/${upload}`;
    if (method === 'PATCH') return send(response, 202, '', { location, range: `0-${bytes.length - 1}` });
    const digest = query.get('digest') ?? '';
    if (digestOf(bytes) !== digest)
      return fail(response, 400, 'DIGEST_INVALID', 'provided digest did not match');
    this.blobs.set(digest, bytes);
    return send(response, 201, '', {
      location: `/v2/${name}/blobs/${digest}`,
      'docker-content-digest': digest,
    });
  }
}

/** Answers a request whole. */
export function send(
  response: ServerResponse,
  status: number,
  body: string | Buffer = '',
  headers: Record<string, string> = {},
  withoutBody = false,
): ServerResponse {
  const bytes = Buffer.from(body);
  response.writeHead(status, { 'content-length': String(bytes.length), ...headers });
  return response.end(withoutBody ? undefined : bytes);
}

/** Answers with an error as the specification spells it. */
export function fail(
  response: ServerResponse,
  status: number,
  code: string,
  message: string,
): ServerResponse {
  return send(response, status, JSON.stringify({ errors: [{ code, message }] }), {
    'content-type': 'application/json',
  });
}

/** A tar archive of files, by name; a name may lie in directories. */
export function packFiles(files: Record<string, string>): Buffer {
  const base = mkdtempSync(join(tmpdir(), 'tsoverlay-test-layer-'));
  try {
    for (const [name, content] of Object.entries(files)) {
      mkdirSync(join(base, name, '..'), { recursive: true });
      writeFileSync(join(base, name), content);
    }
    const { status, stdout, stderr } = spawnSync('tar', ['-C', base, '-cf', '-', '.']);
    if (status !== 0) throw new Error(stderr.toString());
    return stdout;
  } finally {
    rmSync(base, { recursive: true });
  }
}
