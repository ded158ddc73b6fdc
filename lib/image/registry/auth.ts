// SPDX-License-Identifier: MIT
/** Tokens of registries (distribution's "Token Authentication Specification" and "OAuth2"): how one is asked for, and read. */

import type { Challenge } from '../connection/challenge.js';
import type { Credentials } from '../credentials/credential.js';

export function basicHeader({ username, password }: Credentials): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
}

/** What to ask a token server: a GET with the scope, or a POST where there is a token to exchange. */
export interface TokenRequest {
  url: URL;
  method: 'GET' | 'POST';
  headers: Record<string, string>;
  body?: string | undefined;
}

/** The server that a challenge names for tokens; undefined where it names none that could be asked. */
export function tokenServer({ parameters }: Challenge): URL | undefined {
  const realm = parameters.get('realm')?.trim() ?? '';
  return /^https?:\/\//i.test(realm) && URL.canParse(realm) ? new URL(realm) : undefined;
}

export function tokenRequest(
  server: URL,
  service: string | undefined,
  scope: string,
  credentials: Credentials | undefined,
): TokenRequest {
  const url = new URL(server);
  if (credentials?.identityToken !== undefined) {
    const body = new URLSearchParams({
      grant_type: 'refresh_token',
      refresh_token: credentials.identityToken,
      client_id: 'tsoverlay',
      service: service ?? '',
      scope,
    });
    const headers = { 'content-type': 'application/x-www-form-urlencoded' };
    return { url, method: 'POST', headers, body: body.toString() };
  }
  if (service) url.searchParams.set('service', service);
  for (const one of scope.split(' ')) url.searchParams.append('scope', one);
  if (credentials === undefined) return { url, method: 'GET', headers: {} };
  url.searchParams.set('account', credentials.username);
  return { url, method: 'GET', headers: { authorization: basicHeader(credentials) } };
}

/**
 * Two lists of scopes as one, a resource once: what a call needs, and what the registry says that
 * it needs (a proxy of registries has other names than those that are asked for).
 */
export function mergeScopes(ours: string, theirs: string | undefined): string {
  const actions = new Map<string, Set<string>>();
  for (const scope of `${ours} ${theirs ?? ''}`.split(/\s+/).filter((one) => one !== '')) {
    const colon = scope.lastIndexOf(':');
    const resource = scope.slice(0, Math.max(colon, 0));
    const known = actions.get(resource) ?? new Set();
    for (const action of scope.slice(colon + 1).split(',')) known.add(action);
    actions.set(resource, known);
  }
  return [...actions].map(([resource, all]) => `${resource}:${[...all].join(',')}`).join(' ');
}

export interface Token {
  value: string;
  /** Milliseconds since 1970. */
  expires: number;
}

/** What a token lives at least, whatever its server says (the specification's "expires_in"). */
const SHORTEST_LIFE_S = 60;
/** A token is not used in its last seconds: the request would arrive too late. */
const MARGIN_S = 5;

/** Reads a token server's answer; undefined where there is no token in it that can be sent. */
export function parseToken(body: string, now = Date.now()): Token | undefined {
  let answer: { token?: unknown; access_token?: unknown; expires_in?: unknown } | null;
  try {
    answer = JSON.parse(body.replace(/^\uFEFF/, '')) as typeof answer;
  } catch {
    // An answer that is no JSON has no token either.
    return undefined;
  }
  const isToken = (value: unknown): value is string =>
    typeof value === 'string' && /^[\x21-\x7e]+$/.test(value);
  const value = [answer?.token, answer?.access_token].find(isToken);
  if (value === undefined) return undefined;
  // Some servers write the number as text.
  const life = Number(answer?.expires_in ?? 0) || 0;
  return { value, expires: now + (Math.max(life, SHORTEST_LIFE_S) - MARGIN_S) * 1000 };
}
