// SPDX-License-Identifier: MIT
/**
 * Who we are to a registry: what its challenges ask for (RFC 7235; distribution's
 * "Token Authentication Specification" and "OAuth2").
 */
import type { Credentials } from './credentials.js';

export interface Challenge {
  scheme: 'basic' | 'bearer';
  parameters: Record<string, string>;
}

/** Reads WWW-Authenticate; undefined where it asks for something that we do not know. */
export function parseChallenge(header: string): Challenge | undefined {
  const match = /^\s*(basic|bearer)\s+(.*)$/is.exec(header);
  if (match === null) return /^\s*basic\s*$/i.test(header) ? { scheme: 'basic', parameters: {} } : undefined;
  const parameters: Record<string, string> = {};
  for (const [, key, quoted, plain] of match[2].matchAll(/([a-z_]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s,]+))/gi)) {
    parameters[key.toLowerCase()] = quoted === undefined ? plain : quoted.replace(/\\(.)/g, '$1');
  }
  return { scheme: match[1].toLowerCase() as Challenge['scheme'], parameters };
}

export function basicHeader({ username, password }: Credentials): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
}

/** What to ask a token server: a GET with the scope, or a POST where there is a token to exchange. */
export interface TokenRequest {
  url: string;
  method: 'GET' | 'POST';
  headers: Record<string, string>;
  body?: string | undefined;
}

/** Undefined where the challenge names no server that could be asked. */
export function tokenRequest(
  { parameters }: Challenge,
  scope: string,
  credentials: Credentials | undefined,
): TokenRequest | undefined {
  const { realm, service } = parameters;
  if (realm === undefined || !URL.canParse(realm) || !/^https?:/.test(realm)) return undefined;
  const url = new URL(realm);
  if (credentials?.identityToken !== undefined) {
    const body = new URLSearchParams({
      grant_type: 'refresh_token',
      refresh_token: credentials.identityToken,
      client_id: 'tsoverlay',
      service: service ?? '',
      scope,
    });
    const headers = { 'content-type': 'application/x-www-form-urlencoded' };
    return { url: url.href, method: 'POST', headers, body: body.toString() };
  }
  if (service !== undefined) url.searchParams.set('service', service);
  for (const one of scope.split(' ')) url.searchParams.append('scope', one);
  if (credentials === undefined) return { url: url.href, method: 'GET', headers: {} };
  url.searchParams.set('account', credentials.username);
  return { url: url.href, method: 'GET', headers: { authorization: basicHeader(credentials) } };
}

export interface Token {
  value: string;
  /** Milliseconds since 1970. */
  expires: number;
}

const DEFAULT_LIFE_S = 60;
/** A token is not used in its last seconds: the request would arrive too late. */
const MARGIN_S = 5;

/** Reads a token server's answer; undefined where there is no token in it. */
export function parseToken(body: string, now = Date.now()): Token | undefined {
  let answer: { token?: unknown; access_token?: unknown; expires_in?: unknown };
  try {
    answer = JSON.parse(body) as typeof answer;
  } catch {
    // An answer that is no JSON has no token either.
    return undefined;
  }
  const value = answer.token ?? answer.access_token;
  if (typeof value !== 'string' || value === '') return undefined;
  const life = typeof answer.expires_in === 'number' ? answer.expires_in : DEFAULT_LIFE_S;
  return { value, expires: now + Math.max(life - MARGIN_S, 0) * 1000 };
}
