// SPDX-License-Identifier: MIT
/** Why a registry could not be reached, in words. */
import { OverlayError } from '../base/errors.js';
import { LARGEST_HEADERS } from './http-transport.js';
import { CutOff } from './registry-answer.js';
import { registryConfigPath } from './registry-config.js';

/** What a server that speaks plain HTTP answers to a TLS handshake, as OpenSSL reads it. */
const NO_TLS = /^ERR_SSL_(WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG|HTTP_REQUEST|UNEXPECTED_MESSAGE)$/;

function codeOf(failure: Error): string {
  const { code } = failure as NodeJS.ErrnoException;
  // A handshake that breaks off is told as EPROTO by some versions of Node.
  return code === 'EPROTO' && /wrong version number/i.test(failure.message)
    ? 'ERR_SSL_WRONG_VERSION_NUMBER'
    : `${code}`;
}

/** Whether a server answers a TLS handshake with something else. */
export function answersNoTls(failure: Error): boolean {
  return NO_TLS.test(codeOf(failure));
}

/** A server that speaks plain HTTP breaks a TLS handshake off, or is not there at the usual port. */
export function speaksNoTls(failure: Error): boolean {
  return /^(ERR_SSL_.*|EPROTO|ECONNRESET|ECONNREFUSED|UND_ERR_SOCKET)$/.test(codeOf(failure));
}

/** The error for a call of a registry that a system's error kept from an answer. */
export function unreachable(host: string, path: string, cause: Error): OverlayError {
  const { reason, remedy } = explain(path, cause);
  return new OverlayError({ operation: 'ask registry', path: host, reason, remedy, cause });
}

function explain(path: string, cause: Error): { reason: string; remedy?: string } {
  if (cause instanceof CutOff) {
    return {
      reason: `its answer breaks off (${cause.message}) for ${path}`,
      remedy: 'try again later, or another mirror',
    };
  }
  const code = codeOf(cause);
  if (code === 'HPE_HEADER_OVERFLOW')
    return { reason: `the headers of its answer are larger than ${LARGEST_HEADERS} bytes` };
  const named = `name it in insecure-registries of ${registryConfigPath()}`;
  if (answersNoTls(cause)) {
    return {
      reason: 'it was asked by TLS and answers something else, as one does that speaks plain HTTP',
      remedy: `if that is meant, ${named}`,
    };
  }
  const isTls = /CERT|SSL|TLS|SELF_SIGNED|ISSUER/.test(code);
  return {
    reason: `it cannot be reached (${code === 'undefined' ? cause.message : code})`,
    remedy: isTls
      ? `if you trust it all the same, ${named}`
      : 'see whether its name is right and the network is up',
  };
}
