// SPDX-License-Identifier: MIT
/** What a handshake of TLS failed of. */

/** What a server that speaks plain HTTP answers to a TLS handshake, as OpenSSL reads it. */
const NO_TLS = /^ERR_SSL_(WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG|HTTP_REQUEST|UNEXPECTED_MESSAGE)$/;

/** Of the system, of Node or of OpenSSL; 'undefined' where there is none. */
export function codeOf(failure: Error): string {
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

const NOBODY_KNOWN = 'is signed by nobody whom this machine trusts';

/** What is wrong with a server's certificate, by OpenSSL's names (x509_vfy.h); undefined where it is something else. */
export function certificateTrouble(cause: Error): string | undefined {
  const code = codeOf(cause);
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
