// SPDX-License-Identifier: MIT
/**
 * Requests to a registry: retried with back-off where that can help, redirected
 * without taking credentials to another host, authorized as the registry asks.
 */
import { OverlayError } from '../../base/errors.js';
import { HttpTransport, MOST_REDIRECTS, REDIRECTS, type Response } from '../connection/http-transport.js';
import { ProxyError, wayOf } from '../connection/proxy-failure.js';
import type { Credentials } from '../credentials/credential.js';
import { type Answer, type Document, type Refusal, RegistryError, readBody, readWords } from './answer.js';
import type { Endpoint } from './config.js';
import { speaksNoTls, unreachable } from './failure.js';
import { RegistryLogin, TokenRefusal } from './login.js';
import { backOff, mayPass, retryAfter, TRIES, triesFor, waitAsked } from './retrying.js';
import type { Warnings } from './warnings.js';

export interface Call {
  method?: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** A path beneath /v2/, or a whole URL that the registry gave. */
  path: string;
  /** What the token must allow: `repository:library/nginx:pull`. */
  scope: string;
  /** The target is not the registry's own: no credentials are sent there. */
  anonymous?: boolean | undefined;
  headers?: Record<string, string> | undefined;
  /** How often it is tried where trouble may pass. */
  tries?: number | undefined;
  /** Made anew for each try. */
  body?: (() => AsyncIterable<Uint8Array> | Buffer) | undefined;
  signal?: AbortSignal | undefined;
}

const STATUS_WORDS: Record<number, string> = {
  401: 'not authorized',
  403: 'not permitted',
  404: 'it has no such thing',
  429: 'too many requests',
};

export class RegistryHttp {
  readonly #transport: HttpTransport;
  readonly #login: RegistryLogin;
  #scheme: Endpoint['scheme'];

  constructor(
    readonly endpoint: Endpoint,
    credentials: () => Promise<Credentials | undefined>,
    private readonly warnings: Warnings,
  ) {
    this.#scheme = endpoint.scheme;
    this.#transport = new HttpTransport({ verifies: !endpoint.insecure, registry: endpoint.host });
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
   * Carries a call out; answers with a status below 400. Its body must be read or destroyed.
   * Throws a RegistryError for a refusal, an OverlayError that names the registry for all else.
   */
  call(call: Call): Promise<Answer> {
    return this.#tried(call, async (answer) => answer);
  }

  /** The same for a document, which is read whole: it is asked for again where it breaks off. */
  read(call: Call, limit: number, what: string, size?: number): Promise<Document> {
    return this.#tried(call, async (answer) => {
      const { url, headers } = answer;
      return { url, headers, bytes: await readBody(answer, limit, what, size) };
    });
  }

  async #tried<T>(call: Call, finish: (answer: Answer) => Promise<T>): Promise<T> {
    const { signal, tries = TRIES } = call;
    for (let attempt = 1; ; attempt++) {
      let answer: Answer;
      try {
        answer = await this.#authorized(call);
        if (answer.statusCode < 400) return await finish(answer);
      } catch (cause) {
        if (cause instanceof TokenRefusal && attempt < tries && mayPass(cause.refusal)) {
          await backOff(attempt, cause.refusal.retryAfter, signal);
          continue;
        }
        if (cause instanceof OverlayError && !(cause instanceof ProxyError)) throw cause;
        signal?.throwIfAborted();
        if (attempt >= Math.min(tries, triesFor(cause as Error)))
          throw unreachable(this.endpoint.host, call.path, cause as Error);
        await backOff(attempt, undefined, signal);
        continue;
      }
      const refused = await this.#refused(call, answer);
      if (attempt >= tries || !mayPass(refused.refusal)) throw refused;
      await backOff(attempt, refused.refusal.retryAfter, signal);
    }
  }

  async #authorized(call: Call): Promise<Answer> {
    if (call.anonymous === true) return this.#redirected(call, undefined);
    let answer = await this.#redirected(call, await this.#login.header(call));
    if (answer.statusCode !== 401) return answer;
    for await (const authorization of this.#login.answers(answer, call)) {
      answer.body.destroy();
      answer = await this.#redirected(call, authorization);
      if (answer.statusCode !== 401) break;
    }
    return answer;
  }

  /** Follows redirects. */
  async #redirected(call: Call, authorization: string | undefined): Promise<Answer> {
    let answer = await this.#first(call, authorization);
    let asked = call;
    for (let redirects = 0; REDIRECTS.has(answer.statusCode); redirects++) {
      const { location } = answer.headers;
      answer.body.destroy();
      if (redirects >= MOST_REDIRECTS) throw this.#error('it redirects without an end');
      const url = this.resolve(location, answer.url);
      // RFC 9110, 15.4.4: the outcome is elsewhere, and is fetched.
      const isOutcome = answer.statusCode === 303 && call.method !== 'HEAD';
      if (isOutcome) asked = { ...call, method: 'GET', body: undefined };
      answer = { url, ...(await this.#send(url, asked, authorization)) };
    }
    return answer;
  }

  /** Where a reference in an answer leads. Throws an OverlayError for what is no place of the web. */
  resolve(reference: string | undefined, from: URL): URL {
    const url = URL.canParse(reference ?? '', from.href) ? new URL(reference ?? '', from) : undefined;
    if (reference !== undefined && (url?.protocol === 'http:' || url?.protocol === 'https:')) return url;
    const shown = JSON.stringify(reference ?? '').slice(0, 200);
    throw this.#error(`it names ${shown} as the place to go on at, which is none`);
  }

  /** An insecure host may speak HTTP only: found out by the first call. */
  async #first(call: Call, authorization: string | undefined): Promise<Answer> {
    const scheme = this.#scheme ?? 'https';
    const url = this.#url(call.path, scheme);
    try {
      const answer = await this.#send(url, call, authorization);
      this.#scheme ??= scheme;
      return { url, ...answer };
    } catch (failure) {
      if (this.#scheme !== undefined || !this.endpoint.insecure || !speaksNoTls(failure as Error))
        throw failure;
      const plain = this.#url(call.path, 'http');
      const answer = await this.#send(plain, call, authorization).catch((second: unknown) => {
        // Past a proxy that leads nowhere there may be no way at all: it is the one to look after.
        throw failure instanceof ProxyError ? failure : second;
      });
      this.#scheme = 'http';
      return { url: plain, ...answer };
    }
  }

  async #send(url: URL, call: Call, authorization: string | undefined): Promise<Response> {
    const headers = { 'user-agent': 'tsoverlay', ...call.headers };
    const tells = authorization !== undefined && this.#mayTell(url);
    const response = await this.#transport.send(url, {
      method: call.method ?? 'GET',
      headers: tells ? { ...headers, authorization } : headers,
      body: call.body?.(),
      signal: call.signal,
    });
    this.warnings.take(url.host, response.headers.warning);
    return response;
  }

  /** Credentials are for the registry's own host, and travel in the clear only where it is allowed. */
  #mayTell(url: URL): boolean {
    const isOwn = url.host === new URL(`${url.protocol}//${this.endpoint.host}`).host;
    return isOwn && (url.protocol === 'https:' || this.endpoint.insecure || this.endpoint.scheme === 'http');
  }

  #error(reason: string, remedy?: string): OverlayError {
    return new OverlayError({ operation: 'ask registry', path: this.endpoint.host, reason, remedy });
  }

  async #refused(call: Call, answer: Answer): Promise<RegistryError> {
    const { statusCode: status } = answer;
    const refusal = { status, retryAfter: retryAfter(answer.headers) ?? 0, ...(await readWords(answer)) };
    const said = [status, refusal.words].filter((part) => part !== '').join(' ');
    const reason = `${STATUS_WORDS[status] ?? 'it failed'} (${said}) for ${call.path}${wayOf(answer)}`;
    const isLogin = (status === 401 || status === 403) && call.anonymous !== true;
    const story = isLogin ? this.#login.refused(reason) : this.#error(reason, remedyOf(refusal));
    return new RegistryError(story, refusal);
  }
}

function remedyOf({ codes, retryAfter: asked }: Refusal): string | undefined {
  const isNameUnknown = codes.includes('NAME_UNKNOWN');
  return (
    waitAsked(asked) ??
    (isNameUnknown
      ? 'see whether the name is right; some registries want a repository to be made before the first push'
      : undefined)
  );
}
