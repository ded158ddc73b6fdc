// SPDX-License-Identifier: MIT
/** Why a proxy did not lead to an answer, in words. Its password is in none of them. */
import type { IncomingHttpHeaders } from 'node:http';
import { type ErrorStory, OverlayError } from '../../base/errors.js';
import { parseChallenges } from './challenge.js';
import type { ProxyServer } from './proxy.js';
import { answersNoTls, certificateTrouble, codeOf } from './tls-failure.js';

type Trouble = Pick<ErrorStory, 'reason' | 'remedy' | 'cause'>;

/** What kept a request from its answer, on the way through a proxy. */
export class ProxyError extends OverlayError {
  constructor(
    { url }: ProxyServer,
    trouble: Trouble,
    /** The proxy is there, and lets us in: what failed lies beyond it. */
    readonly isBeyond: boolean,
    /** Of its answer, if it gave one. */
    readonly status?: number,
  ) {
    super({ operation: 'ask proxy', path: url.host, ...trouble });
  }
}

/** Nothing of HTTP came from a proxy. */
export function notReached(proxy: ProxyServer, cause: Error): ProxyError {
  return new ProxyError(proxy, { ...explain(proxy, cause), cause }, false);
}

function explain({ variable }: ProxyServer, cause: Error): Trouble {
  const code = codeOf(cause);
  const wrong = certificateTrouble(cause);
  if (wrong !== undefined) {
    return {
      reason: `its certificate ${wrong} (${code})`,
      remedy: 'put the certificate of its authority into a file, and name that in SSL_CERT_FILE',
    };
  }
  if (answersNoTls(cause)) {
    return {
      reason: 'it was asked by TLS and answers something else, as one does that speaks plain HTTP',
      remedy: `if that is meant, write http:// in ${variable}`,
    };
  }
  const remedy = `see whether ${variable} in the environment is right`;
  if (code === 'ETIMEDOUT') return { reason: 'it does not answer (ETIMEDOUT)', remedy };
  if (/^(ECONNRESET|EPIPE)$/.test(code)) return { reason: `it breaks the connection off (${code})`, remedy };
  if (code.startsWith('HPE_')) return { reason: `what it answers is no HTTP (${code})`, remedy };
  return { reason: `it cannot be reached (${code === 'undefined' ? cause.message : code})`, remedy };
}

/** By which proxy a failure or an answer came, to be said after the reason: it may look into TLS, or answer in its own name. */
export function wayOf(outcome: unknown): string {
  const { proxy } = outcome as { proxy?: string };
  return proxy === undefined ? '' : ` by way of proxy ${proxy}`;
}

/** A connection that a proxy had made for us ended without an answer. */
export function brokenBeyond(proxy: ProxyServer, host: string, cause: Error): ProxyError {
  const reason = `the way to ${host} through it breaks off (${codeOf(cause)})`;
  return new ProxyError(proxy, { reason, remedy: remedyFor(host), cause }, true);
}

function remedyFor(host: string): string {
  return `try again later, or if ${host} needs no proxy, name it in NO_PROXY`;
}

interface Answer {
  statusCode?: number | undefined;
  headers: IncomingHttpHeaders;
}

/** What a proxy answered instead of leading to a host. */
export function refusedBy(proxy: ProxyServer, host: string, { statusCode = 0, headers }: Answer): ProxyError {
  // Some ask as servers do (tinyproxy, where the password is wrong).
  if (statusCode === 407 || statusCode === 401)
    return new ProxyError(proxy, asksForLogin(proxy, statusCode, headers), false, statusCode);
  const reason =
    statusCode >= 500
      ? `it does not reach ${host} (${statusCode})`
      : `it does not let us through to ${host} (${statusCode})`;
  return new ProxyError(proxy, { reason, remedy: remedyFor(host) }, true, statusCode);
}

function asksForLogin({ url, variable }: ProxyServer, status: number, headers: IncomingHttpHeaders): Trouble {
  const schemes = parseChallenges(headers['proxy-authenticate'] ?? '').map(({ scheme }) => scheme);
  if (schemes.length > 0 && !schemes.includes('basic')) {
    return {
      reason: `it asks for a login by ${schemes.join(', ')} (${status}), of which none is known`,
      remedy: `name one in ${variable} that takes a name and a password, or none`,
    };
  }
  const place = `${url.protocol}//NAME:PASSWORD@${url.host}`;
  return url.username === '' && url.password === ''
    ? {
        reason: `it asks for a name and a password (${status})`,
        remedy: `write them into ${variable}: ${place}`,
      }
    : {
        reason: `it does not take the name and password of ${variable} (${status})`,
        remedy: `write others: ${place}, with what is special as %XX`,
      };
}

/**
 * Whether an answer to what a proxy was to pass on is its own. Only 407 is certain; registries and
 * stores answer in JSON or XML or name themselves, and a server that is busy says until when.
 */
export function isOwnAnswer({ statusCode, headers }: Answer): boolean {
  if (statusCode === 407) return true;
  const isOrigin =
    /json|\/xml/i.test(headers['content-type'] ?? '') ||
    ['docker-distribution-api-version', 'retry-after', 'www-authenticate'].some((name) => name in headers);
  return [403, 502, 503, 504].includes(statusCode!) && !isOrigin;
}
