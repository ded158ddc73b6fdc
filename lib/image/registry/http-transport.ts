// SPDX-License-Identifier: MIT
/** One HTTP request and its answer, with nothing done on top: no redirect, no retry. */
import * as http from 'node:http';
import * as https from 'node:https';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { secureContext } from './certificates.js';

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

export class HttpTransport {
  readonly #plain: http.Agent;
  /** Made when it is needed: the authorities that it trusts are many. */
  #secure: https.Agent | undefined;

  constructor(private readonly peer: Peer) {
    this.#plain = new http.Agent(KEPT);
  }

  #secureAgent(): https.Agent {
    const { verifies, registry } = this.peer;
    this.#secure ??= new https.Agent({
      ...KEPT,
      rejectUnauthorized: verifies,
      secureContext: secureContext(registry, verifies),
    } as https.AgentOptions);
    return this.#secure;
  }

  /** Settles when the answer's head is there; rejects with the system's error, to which `server` is added: the host that was asked. */
  async send(url: URL, { method, headers, body, signal }: Request): Promise<Response> {
    const isSecure = url.protocol === 'https:';
    const request = (isSecure ? https : http).request(url, {
      method,
      headers,
      agent: isSecure ? this.#secureAgent() : this.#plain,
      timeout: IDLE_TIMEOUT_MS,
      maxHeaderSize: LARGEST_HEADERS,
      ...(signal === undefined ? {} : { signal }),
    });
    return new Promise((resolve, reject) => {
      request.on('error', (cause) => reject(Object.assign(cause, { server: url.host })));
      request.on('timeout', () =>
        request.destroy(Object.assign(new Error('nothing came'), { code: 'ETIMEDOUT' })),
      );
      request.on('response', (answer) =>
        resolve({ statusCode: answer.statusCode!, headers: answer.headers, body: answer }),
      );
      if (body === undefined || Buffer.isBuffer(body)) request.end(body);
      // A server may answer and hang up before it has read everything; the answer counts then.
      else pipeline(Readable.from(body, { objectMode: false }), request).catch(reject);
    });
  }

  close(): void {
    this.#plain.destroy();
    this.#secure?.destroy();
  }
}
