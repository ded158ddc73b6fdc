// SPDX-License-Identifier: MIT
/**
 * Trust, and our own identity, in TLS: the authorities of the machine, found as Go's crypto/x509
 * finds them (root_linux.go), and what is kept for one registry in certs.d/HOST[:PORT] (Docker's
 * "Verify repository client with certificates", containers-certs.d(5)).
 */
import { X509Certificate } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { createSecureContext, rootCertificates, type SecureContext } from 'node:tls';
import { OverlayError } from '../../base/errors.js';

/** Debian, Fedora, OpenSUSE, OpenELEC, RHEL and Alpine. */
const BUNDLES = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/ca-bundle.pem',
  '/etc/pki/tls/cacert.pem',
  '/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem',
  '/etc/ssl/cert.pem',
];
const SYSTEM_DIRECTORY = '/etc/tsoverlay/certs.d';

/** Where a certificate for a host is to be put. */
export function certificateDirectory(host: string): string {
  return join(SYSTEM_DIRECTORY, host);
}

function failure(path: string, reason: string, cause?: unknown): OverlayError {
  return new OverlayError({ operation: 'read certificates', path, reason, cause });
}

function read(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw failure(path, (cause as Error).message, cause);
  }
}

function readIfThere(path: string): Buffer | undefined {
  try {
    return readFileSync(path);
  } catch (cause) {
    if (/^(ENOENT|ENOTDIR|EISDIR)$/.test(`${(cause as NodeJS.ErrnoException).code}`)) return undefined;
    throw failure(path, (cause as Error).message, cause);
  }
}

function listIfThere(path: string): string[] {
  try {
    return readdirSync(path).sort();
  } catch (cause) {
    if (/^(ENOENT|ENOTDIR)$/.test(`${(cause as NodeJS.ErrnoException).code}`)) return [];
    throw failure(path, (cause as Error).message, cause);
  }
}

/** Authorities that a file names; OpenSSL would pass over in silence what is no certificate. */
function authoritiesOf(path: string, bytes: Buffer): string {
  try {
    const first = new X509Certificate(bytes);
    const text = bytes.toString('latin1');
    return text.includes('-----BEGIN') ? text : first.toString();
  } catch (cause) {
    throw failure(path, 'it holds no certificate', cause);
  }
}

/**
 * The machine's authorities: SSL_CERT_FILE beside the machine's bundle, or beside the files of
 * SSL_CERT_DIR; Node's own where the machine has none. NODE_EXTRA_CA_CERTS counts as in Node.
 */
function machineAuthorities(): string[] {
  const { SSL_CERT_FILE: named, SSL_CERT_DIR: directories, NODE_EXTRA_CA_CERTS: extra } = process.env;
  const found = [named, extra].filter(Boolean).map((path) => authoritiesOf(path!, read(path!)));
  const own = directories ? directories.split(':').flatMap(filesOf) : machineBundle();
  return [...found, ...(own.length > 0 ? own : rootCertificates)];
}

/** A directory of certificates holds other things, too, and each of them under two names. */
function filesOf(directory: string): string[] {
  const texts = listIfThere(directory).map((name) => readIfThere(join(directory, name))?.toString('latin1'));
  return [...new Set(texts)].filter(
    (text) => text?.includes('-----BEGIN CERTIFICATE-----') === true,
  ) as string[];
}

function machineBundle(): string[] {
  for (const path of BUNDLES) {
    const bytes = readIfThere(path);
    if (bytes !== undefined && bytes.length > 0) return [bytes.toString('latin1')];
  }
  return [];
}

interface Identity {
  cert: Buffer;
  key: Buffer;
}

/** What certs.d has for a host: NAME.crt are authorities, NAME.cert and NAME.key our own identity. */
function certificatesFor(host: string): { authorities: string[]; identity: Identity | undefined } {
  const config = process.env.XDG_CONFIG_HOME || join(homedir(), '.config');
  const places = ['tsoverlay', 'containers', 'docker'].flatMap((tool) =>
    [config, '/etc'].map((base) => join(base, tool, 'certs.d', host)),
  );
  const authorities: string[] = [];
  let identity: Identity | undefined;
  for (const place of places) {
    const names = new Set(listIfThere(place));
    for (const name of names) {
      const path = join(place, name);
      if (name.endsWith('.crt')) authorities.push(authoritiesOf(path, read(path)));
      const pair = /^(.*)\.(cert|key)$/.exec(name);
      if (pair === null) continue;
      const [, stem, kind] = pair;
      const other = `${stem}.${kind === 'cert' ? 'key' : 'cert'}`;
      if (!names.has(other))
        throw failure(path, `${other} is not beside it (an authority's certificate is called NAME.crt)`);
      identity ??= { cert: read(join(place, `${stem}.cert`)), key: read(join(place, `${stem}.key`)) };
    }
  }
  return { authorities, identity };
}

/** Makes what connections to a registry start from; without a host, to anybody. Throws an OverlayError. */
export function secureContext(host: string | undefined, verifies: boolean): SecureContext {
  const { authorities, identity } =
    host === undefined ? { authorities: [], identity: undefined } : certificatesFor(host);
  const ca = verifies ? [...machineAuthorities(), ...authorities] : authorities;
  try {
    return createSecureContext({ ca, ...identity });
  } catch (cause) {
    throw failure(host ?? 'the machine', (cause as Error).message, cause);
  }
}
