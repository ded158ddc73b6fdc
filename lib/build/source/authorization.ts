// SPDX-License-Identifier: MIT
/** The credentials that a server is sent: secrets of its name (BuildKit, source/http; Dockerfile reference, "ADD"). */
import { OverlayError } from '../../base/errors.js';
import type { Secret } from './secret.js';

/** The `Authorization` that secrets have for a URL's host: a token goes before a whole header. */
export function authorizationFor(url: URL, secrets: ReadonlyMap<string, Secret>): string | undefined {
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  const token = secretFor(`HTTP_AUTH_TOKEN_${host}`, secrets);
  return token === undefined ? secretFor(`HTTP_AUTH_HEADER_${host}`, secrets) : `Bearer ${token}`;
}

function secretFor(name: string, secrets: ReadonlyMap<string, Secret>): string | undefined {
  const value = secrets.get(name)?.read().toString('latin1');
  if (value === undefined || /^[\t\x20-\x7e\x80-\xff]+$/.test(value)) return value;
  throw new OverlayError({
    operation: 'read the secret',
    path: name,
    reason: 'it is not the value of a header',
    remedy: 'give one line without its end',
  });
}
