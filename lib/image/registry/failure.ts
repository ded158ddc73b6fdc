// SPDX-License-Identifier: MIT
/** Why a registry could not be reached, in words. */
import { OverlayError } from '../../base/errors.js';
import { certificateDirectory } from '../connection/certificates.js';
import { LARGEST_HEADERS } from '../connection/http-transport.js';
import { ProxyError, wayOf } from '../connection/proxy-failure.js';
import { answersNoTls, certificateTrouble, codeOf } from '../connection/tls-failure.js';
import { CutOff } from './answer.js';
import { registryConfigPath } from './config.js';

/** Alerts of TLS by which a server says that our certificate is missing or wrong. */
const ASKS_WHO_WE_ARE =
  /^ERR_SSL_(TLSV13_ALERT_CERTIFICATE_REQUIRED|(SSLV3|TLSV1)_ALERT_(BAD_CERTIFICATE|UNSUPPORTED_CERTIFICATE|CERTIFICATE_\w+|UNKNOWN_CA|HANDSHAKE_FAILURE|ACCESS_DENIED))$/;

/** Whether a server and we do not trust one another, or it speaks something else: that does not pass. */
export function isAboutTls(failure: Error): boolean {
  const code = codeOf(failure);
  return answersNoTls(failure) || ASKS_WHO_WE_ARE.test(code) || certificateTrouble(failure) !== undefined;
}

/** A server that speaks plain HTTP breaks a TLS handshake off, or is not there at the usual port. */
export function speaksNoTls(failure: Error): boolean {
  if (failure instanceof ProxyError) return failure.isBeyond;
  return /^(ERR_SSL_.*|EPROTO|ECONNRESET|ECONNREFUSED|UND_ERR_SOCKET)$/.test(codeOf(failure));
}

/** The error for a call of a registry that a system's error kept from an answer. */
export function unreachable(host: string, path: string, cause: Error): OverlayError {
  if (cause instanceof ProxyError) return cause;
  const { reason, remedy } = explain(host, path, cause);
  return new OverlayError({
    operation: 'ask registry',
    path: host,
    reason: `${reason}${wayOf(cause)}`,
    remedy,
    cause,
  });
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
  const wrong = certificateTrouble(cause);
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
