// SPDX-License-Identifier: MIT
/**
 * Requests to a registry: retried with back-off where that can help, redirected
 * without taking credentials to another host, authorized as the registry asks.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { OverlayError } from '../base/errors.js';
import type { Credentials } from './credentials.js';
import { HttpTransport, MOST_REDIRECTS, REDIRECTS, type Response } from './http-transport.js';
import type { Endpoint } from './registry-config.js';
import { RegistryLogin } from './registry-login.js';

export type { Response } from './http-transport.js';

export interface Call {
  method?: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** A path beneath /v2/, or a whole URL that the registry gave. */
  path: string;
  /** What the token must allow: `repository:library/nginx:pull`. */
  scope: string;
  headers?: Record<string, string> | undefined;
  /** Made anew for each try. */
  body?: (() => AsyncIterable<Uint8Array> | Buffer) | undefined;
  signal?: AbortSignal | undefined;
}

const TRIES = 5;
const FIRST_WAIT_MS = 250;
const LONGEST_WAIT_MS = 30_000;
const LARGEST_ERROR = 64 * 1024;
const BROKEN_STATUS = new Set([408, 425, 429, 500, 502, 503, 504]);

/** Reads an answer whole, if it is not larger. Throws an OverlayError. */
export async function readBody({ body }: Response, limit: number, what: string): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > limit) {
      body.destroy();
      throw new OverlayError({ operation: 'read', path: what, reason: `it is larger than ${limit} bytes` });
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** What a registry says is wrong, in its own words (distribution-spec, "Error Codes"). */
async function errorText(response: Response): Promise<string> {
  const text = await readBody(response, LARGEST_ERROR, 'the answer').catch(() => Buffer.alloc(0));
  try {
    const { errors } = JSON.parse(text.toString('utf8')) as {
      errors?: { code?: string; message?: string }[];
    };
    return (errors ?? []).map(({ code, message }) => message || code).join('; ');
  } catch {
    // An error page of a proxy says nothing that fits a line.
    return '';
  }
}

export class RegistryHttp {
  readonly #transport: HttpTransport;
  readonly #login: RegistryLogin;
  #scheme: Endpoint['scheme'];

  constructor(
    readonly endpoint: Endpoint,
    credentials: () => Promise<Credentials | undefined>,
  ) {
    this.#scheme = endpoint.scheme;
    this.#transport = new HttpTransport({ verifies: !endpoint.insecure });
    this.#login = new RegistryLogin(endpoint, this.#transport, credentials);
  }

  close(): void {
    this.#transport.close();
  }

  /** Where a path is. */
  #url(path: string, scheme: 'http' | 'https'): URL {
    if (/^https?:/.test(path)) return new URL(path);
    const { host, prefix } = this.endpoint;
    // What begins with a slash comes from the registry and is whole (an upload's Location).
    return new URL(path.startsWith('/') ? path : `${prefix}/v2/${path}`, `${scheme}://${host}`);
  }

  /**
   * Carries a call out; answers with a status below 400, or 404. Its body must be read or
   * destroyed. Throws an OverlayError that names the registry for anything else.
   */
  async call(call: Call): Promise<Response> {
    for (let attempt = 1; ; attempt++) {
      let response: Response;
      try {
        response = await this.#authorized(call);
      } catch (cause) {
        if (cause instanceof OverlayError || call.signal?.aborted === true) throw cause;
        if (attempt >= triesFor(cause as Error)) throw this.#unreachable(cause as Error);
        await this.#wait(attempt, undefined, call.signal);
        continue;
      }
      const { statusCode: status } = response;
      if (status < 400 || status === 404) return response;
      if (!BROKEN_STATUS.has(status) || attempt >= TRIES) throw await this.#refused(call, response);
      const after = Number(response.headers['retry-after']);
      response.body.destroy();
      await this.#wait(attempt, Number.isFinite(after) ? after * 1000 : undefined, call.signal);
    }
  }

  async #wait(attempt: number, asked: number | undefined, signal: AbortSignal | undefined): Promise<void> {
    const backOff = FIRST_WAIT_MS * 2 ** (attempt - 1) * (0.75 + Math.random() / 2);
    await delay(Math.min(asked ?? backOff, LONGEST_WAIT_MS), undefined, { signal });
  }

  async #authorized(call: Call): Promise<Response> {
    let response = await this.#redirected(call, await this.#login.header(call));
    if (response.statusCode !== 401) return response;
    for await (const authorization of this.#login.answers(response, call)) {
      response.body.destroy();
      response = await this.#redirected(call, authorization);
      if (response.statusCode !== 401) break;
    }
    return response;
  }

  /** Follows redirects. */
  async #redirected(call: Call, authorization: string | undefined): Promise<Response> {
    let response = await this.#first(call, authorization);
    let { url } = response;
    for (let redirects = 0; REDIRECTS.has(response.answer.statusCode); redirects++) {
      const location = response.answer.headers.location;
      response.answer.body.destroy();
      if (typeof location !== 'string' || redirects >= MOST_REDIRECTS) {
        throw this.#error('it redirects without an end');
      }
      url = new URL(location, url);
      response = { url, answer: await this.#send(url, call, authorization) };
    }
    return response.answer;
  }

  /** An insecure host may speak HTTP only: found out by the first call. */
  async #first(call: Call, authorization: string | undefined): Promise<{ url: URL; answer: Response }> {
    const scheme = this.#scheme ?? 'https';
    const url = this.#url(call.path, scheme);
    try {
      const answer = await this.#send(url, call, authorization);
      this.#scheme ??= scheme;
      return { url, answer };
    } catch (failure) {
      if (this.#scheme !== undefined || !this.endpoint.insecure || !speaksNoTls(failure as Error))
        throw failure;
      const plain = this.#url(call.path, 'http');
      const answer = await this.#send(plain, call, authorization);
      this.#scheme = 'http';
      return { url: plain, answer };
    }
  }

  #send(url: URL, call: Call, authorization: string | undefined): Promise<Response> {
    const headers = { 'user-agent': 'tsoverlay', ...call.headers };
    const tells = authorization !== undefined && this.#mayTell(url);
    return this.#transport.send(url, {
      method: call.method ?? 'GET',
      headers: tells ? { ...headers, authorization } : headers,
      body: call.body?.(),
      signal: call.signal,
    });
  }

  /** Credentials are for the registry's own host, and travel in the clear only where it is allowed. */
  #mayTell(url: URL): boolean {
    const isOwn = url.host === new URL(`${url.protocol}//${this.endpoint.host}`).host;
    return isOwn && (url.protocol === 'https:' || this.endpoint.insecure || this.endpoint.scheme === 'http');
  }

  #error(reason: string): OverlayError {
    return new OverlayError({ operation: 'ask registry', path: this.endpoint.host, reason });
  }

  #unreachable(cause: Error): OverlayError {
    const { code } = cause as NodeJS.ErrnoException;
    const isTls = /CERT|SSL|TLS|SELF_SIGNED|ISSUER/.test(`${code}`);
    return new OverlayError({
      operation: 'ask registry',
      path: this.endpoint.host,
      reason: `it cannot be reached (${code ?? cause.message})`,
      remedy: isTls
        ? 'if you trust it all the same, name it in insecure-registries of the configuration'
        : 'see whether its name is right and the network is up',
      cause,
    });
  }

  async #refused(call: Call, response: Response): Promise<OverlayError> {
    const { statusCode: status } = response;
    const said = await errorText(response);
    const words: Record<number, string> = {
      401: 'not authorized',
      403: 'not permitted',
      429: 'too many requests',
    };
    const reason = `${words[status] ?? 'it failed'} (${status}${said === '' ? '' : `: ${said}`}) for ${call.path}`;
    return status === 401 || status === 403 ? this.#login.refused(reason) : this.#error(reason);
  }
}

/** Nobody is there, or it is nobody that we trust: that is no passing trouble. */
function triesFor(failure: Error): number {
  const { code } = failure as NodeJS.ErrnoException;
  if (/CERT|SELF_SIGNED|ISSUER/.test(`${code}`)) return 1;
  return /^(ECONNREFUSED|ENOTFOUND|EHOSTUNREACH)$/.test(`${code}`) ? 2 : TRIES;
}

/** A server that speaks plain HTTP breaks a TLS handshake off, or is not there at the usual port. */
function speaksNoTls(failure: Error): boolean {
  const { code } = failure as NodeJS.ErrnoException;
  return /^(ERR_SSL_.*|EPROTO|ECONNRESET|ECONNREFUSED|UND_ERR_SOCKET)$/.test(`${code}`);
}
