// SPDX-License-Identifier: MIT
/** One HTTP request and its answer, with nothing done on top: no redirect, no retry. */
import * as http from 'node:http';
import * as https from 'node:https';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { SecureContext } from 'node:tls';
import { urlToHttpOptions } from 'node:url';
import { secureContext } from './certificates.js';
import { addressOf, type ProxyServer, proxyAuthorization, proxyFor } from './proxy.js';
import { brokenBeyond, isOwnAnswer, notReached, ProxyError, refusedBy } from './proxy-failure.js';
import { TunnelAgent, type TunnelOptions } from './tunnel.js';

export interface Request {
  method: string;
  headers: Record<string, string>;
  body?: AsyncIterable<Uint8Array> | Buffer | undefined;
  signal?: AbortSignal | undefined;
}

export interface Response {
  statusCode: number;
  headers: http.IncomingHttpHeaders;
  /** Must be read to its end or destroyed. */
  body: http.IncomingMessage;
  /** Of plain HTTP: whose answer it may be instead. */
  proxy?: string | undefined;
}

/** Statuses that lead on to another place. */
export const REDIRECTS = new Set([301, 302, 303, 307, 308]);
export const MOST_REDIRECTS = 10;

/** A connection on which nothing moves for so long is taken for broken. */
const IDLE_TIMEOUT_MS = 60_000;
/** Some registries answer with more than the 16 KiB that Node takes. */
export const LARGEST_HEADERS = 1 << 20;

const KEPT = { keepAlive: true, timeout: IDLE_TIMEOUT_MS };

/** Whom we speak with. */
export interface Peer {
  /** Without it a certificate may be anybody's. */
  verifies: boolean;
  /** The host for which certs.d may have certificates. */
  registry?: string | undefined;
}

/** A connection that was there ends. */
const BREAKS = /^(ECONNRESET|EPIPE|ECONNABORTED|ETIMEDOUT)$/;

/** The way of one request. */
interface Way {
  url: URL;
  proxy: ProxyServer | undefined;
  signal: AbortSignal | undefined;
}

export class HttpTransport {
  readonly #plain = new http.Agent(KEPT);
  // Those of TLS are made when they are needed: the authorities that are trusted are many.
  #secure: https.Agent | undefined;
  #toProxy: https.Agent | undefined;
  #tunnel: TunnelAgent | undefined;
  #machine: SecureContext | undefined;

  constructor(private readonly peer: Peer) {}

  #settings(): https.AgentOptions {
    const { registry, verifies } = this.peer;
    return { ...KEPT, rejectUnauthorized: verifies, secureContext: secureContext(registry, verifies) };
  }

  #secureAgent(proxy: ProxyServer | undefined): https.Agent {
    if (proxy === undefined) {
      this.#secure ??= new https.Agent(this.#settings());
      return this.#secure;
    }
    // The environment names one for TLS.
    this.#tunnel ??= new TunnelAgent(proxy, this.#trustInProxy(proxy), this.#settings());
    return this.#tunnel;
  }

  /** A proxy is no registry: it is trusted as the machine trusts, and does not see our certificates. */
  #trustInProxy({ url }: ProxyServer): SecureContext | undefined {
    if (url.protocol === 'http:') return undefined;
    this.#machine ??= secureContext(undefined, true);
    return this.#machine;
  }

  #proxyAgent(proxy: ProxyServer): http.Agent {
    const context = this.#trustInProxy(proxy);
    if (context === undefined) return this.#plain;
    this.#toProxy ??= new https.Agent({ ...KEPT, secureContext: context });
    return this.#toProxy;
  }

  /** A request that is not begun: straight, through a tunnel, or to a proxy that does it for us (RFC 9112, 3.2.2). */
  #request({ url, proxy, signal }: Way, options: http.RequestOptions): http.ClientRequest {
    if (url.protocol === 'https:') {
      const tunnelled: TunnelOptions = { ...options, untilAborted: signal, agent: this.#secureAgent(proxy) };
      return https.request(url, tunnelled);
    }
    if (proxy === undefined) return http.request(url, { ...options, agent: this.#plain });
    const { auth } = urlToHttpOptions(url);
    return (proxy.url.protocol === 'https:' ? https : http).request({
      ...options,
      ...addressOf(proxy),
      ...(auth == null ? {} : { auth }),
      path: `${url.origin}${url.pathname}${url.search}`,
      headers: {
        ...(options.headers as http.OutgoingHttpHeaders),
        host: url.host,
        ...proxyAuthorization(proxy),
      },
      agent: this.#proxyAgent(proxy),
    });
  }

  /**
   * Settles when the answer's head is there; rejects with a ProxyError, or the system's error, to which `server`, the
   * host that was asked, and `proxy`, if there is one, are added.
   */
  async send(url: URL, { method, headers, body, signal }: Request): Promise<Response> {
    const way: Way = { url, proxy: proxyFor(url), signal };
    const request = this.#request(way, {
      method,
      headers,
      timeout: IDLE_TIMEOUT_MS,
      maxHeaderSize: LARGEST_HEADERS,
      ...(signal === undefined ? {} : { signal }),
    });
    return new Promise((resolve, reject) => {
      request.on('error', (cause) => reject(failureOn(way, cause)));
      request.on('timeout', () =>
        request.destroy(Object.assign(new Error('nothing came'), { code: 'ETIMEDOUT' })),
      );
      request.on('response', (answer) => {
        const refusal = refusalOn(way, answer);
        if (refusal === undefined)
          return resolve({
            statusCode: answer.statusCode!,
            headers: answer.headers,
            body: answer,
            proxy: url.protocol === 'http:' ? way.proxy?.url.host : undefined,
          });
        answer.destroy();
        reject(refusal);
      });
      if (body === undefined || Buffer.isBuffer(body)) request.end(body);
      // A server may answer and hang up before it has read everything; the answer counts then.
      else pipeline(Readable.from(body, { objectMode: false }), request).catch(reject);
    });
  }

  close(): void {
    for (const agent of [this.#plain, this.#secure, this.#toProxy, this.#tunnel]) agent?.destroy();
  }
}

/** Why no answer came. */
function failureOn({ url, proxy, signal }: Way, cause: NodeJS.ErrnoException): Error {
  if (cause instanceof ProxyError) return cause;
  if (proxy === undefined || signal?.aborted) return Object.assign(cause, { server: url.host });
  if (url.protocol === 'http:') return notReached(proxy, cause);
  return BREAKS.test(`${cause.code}`)
    ? brokenBeyond(proxy, url.host, cause)
    : Object.assign(cause, { server: url.host, proxy: proxy.url.host });
}

/** That an answer is a proxy's no. */
function refusalOn({ url, proxy }: Way, answer: http.IncomingMessage): ProxyError | undefined {
  const isAsked = proxy !== undefined && url.protocol === 'http:';
  return isAsked && isOwnAnswer(answer) ? refusedBy(proxy, url.host, answer) : undefined;
}
