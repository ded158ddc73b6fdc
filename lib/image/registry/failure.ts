// SPDX-License-Identifier: MIT
/** Why a registry could not be reached, in words. */
import { OverlayError } from '../../base/errors.js';
import { CutOff } from './answer.js';
import { certificateDirectory } from './certificates.js';
import { registryConfigPath } from './config.js';
import { LARGEST_HEADERS } from './http-transport.js';

/** What a server that speaks plain HTTP answers to a TLS handshake, as OpenSSL reads it. */
const NO_TLS = /^ERR_SSL_(WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG|HTTP_REQUEST|UNEXPECTED_MESSAGE)$/;

/** Alerts of TLS by which a server says that our certificate is missing or wrong. */
const ASKS_WHO_WE_ARE =
  /^ERR_SSL_(TLSV13_ALERT_CERTIFICATE_REQUIRED|(SSLV3|TLSV1)_ALERT_(BAD_CERTIFICATE|UNSUPPORTED_CERTIFICATE|CERTIFICATE_\w+|UNKNOWN_CA|HANDSHAKE_FAILURE|ACCESS_DENIED))$/;

function codeOf(failure: Error): string {
  const { code } = failure as NodeJS.ErrnoException;
  // A handshake that breaks off is told as EPROTO by some versions of Node.
  return code === 'EPROTO' && /wrong version number/i.test(failure.message)
    ? 'ERR_SSL_WRONG_VERSION_NUMBER'
    : `${code}`;
}

/** Whether a server and we do not trust one another, or it speaks something else: that does not pass. */
export function isAboutTls(failure: Error): boolean {
  const code = codeOf(failure);
  return (
    answersNoTls(failure) || ASKS_WHO_WE_ARE.test(code) || certificateTrouble(code, failure) !== undefined
  );
}

/** Whether a server answers a TLS handshake with something else. */
function answersNoTls(failure: Error): boolean {
  return NO_TLS.test(codeOf(failure));
}

/** A server that speaks plain HTTP breaks a TLS handshake off, or is not there at the usual port. */
export function speaksNoTls(failure: Error): boolean {
  return /^(ERR_SSL_.*|EPROTO|ECONNRESET|ECONNREFUSED|UND_ERR_SOCKET)$/.test(codeOf(failure));
}

/** The error for a call of a registry that a system's error kept from an answer. */
export function unreachable(host: string, path: string, cause: Error): OverlayError {
  const { reason, remedy } = explain(host, path, cause);
  return new OverlayError({ operation: 'ask registry', path: host, reason, remedy, cause });
}

function explain(host: string, path: string, cause: Error): { reason: string; remedy?: string } {
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
  const wrong = certificateTrouble(code, cause);
  if (wrong !== undefined) {
    const { server } = cause as { server?: string };
    const whose =
      server === undefined || server === new URL(`https://${host}`).host
        ? 'its certificate'
        : `the certificate of ${server}`;
    return {
      reason: `${whose} ${wrong} (${code})`,
      remedy: `put the certificate of its authority into ${certificateDirectory(host)}/ca.crt, or if you trust it all the same, ${named}`,
    };
  }
  if (ASKS_WHO_WE_ARE.test(code)) {
    return {
      reason: `it does not take the certificate that we show it, or asks for one (${code})`,
      remedy: `put one that it knows into ${certificateDirectory(host)}/client.cert and client.key`,
    };
  }
  return {
    reason: `it cannot be reached (${code === 'undefined' ? cause.message : code})`,
    remedy: 'see whether its name is right and the network is up',
  };
}

const NOBODY_KNOWN = 'is signed by nobody whom this machine trusts';

/** What is wrong with a server's certificate, by OpenSSL's names (x509_vfy.h); undefined where it is something else. */
function certificateTrouble(code: string, cause: Error): string | undefined {
  const words: Record<string, string> = {
    DEPTH_ZERO_SELF_SIGNED_CERT: 'is signed by itself alone',
    SELF_SIGNED_CERT_IN_CHAIN: 'is signed by an authority that this machine does not trust',
    UNABLE_TO_VERIFY_LEAF_SIGNATURE: NOBODY_KNOWN,
    UNABLE_TO_GET_ISSUER_CERT: NOBODY_KNOWN,
    UNABLE_TO_GET_ISSUER_CERT_LOCALLY: NOBODY_KNOWN,
    CERT_HAS_EXPIRED: 'is too old, or the clock of this machine is wrong',
    CERT_NOT_YET_VALID: 'is not valid yet, or the clock of this machine is wrong',
    CERT_REVOKED: 'was taken back',
    ERR_TLS_CERT_ALTNAME_INVALID: `is for other names: ${namesOf(cause)}`,
  };
  return words[code] ?? (/^(CERT|INVALID|UNABLE)_/.test(code) ? 'is not valid' : undefined);
}

function namesOf(cause: Error): string {
  const { cert } = cause as { cert?: { subjectaltname?: string } };
  return (cert?.subjectaltname ?? 'none').slice(0, 200);
}
