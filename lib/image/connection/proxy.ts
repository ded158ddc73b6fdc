// SPDX-License-Identifier: MIT
/** Which proxy leads to a URL, by the variables and the rules of golang.org/x/net/http/httpproxy, with curl's ALL_PROXY. */
import { isIP } from 'node:net';
import { OverlayError } from '../../base/errors.js';
import { isWithin, LOOPBACK } from './networks.js';
import { type Exception, parseException } from './no-proxy.js';

export interface ProxyServer {
  url: URL;
  /** The variable that names it. */
  variable: string;
}

type Environment = Readonly<Record<string, string | undefined>>;

interface Variable {
  name: string;
  value: string;
}

function variable(environment: Environment, name: string): Variable | undefined {
  for (const spelling of [name, name.toLowerCase()]) {
    // In a CGI program it is what the client's header Proxy says (golang.org/s/cgihttpproxy).
    if (spelling === 'HTTP_PROXY' && environment.REQUEST_METHOD) continue;
    const value = environment[spelling]?.trim();
    if (value) return { name: spelling, value };
  }
  return undefined;
}

/** The proxy for a URL; undefined where it is reached without. Throws an OverlayError for a variable that cannot be meant. */
export function proxyFor(url: URL, environment: Environment = process.env): ProxyServer | undefined {
  const own = url.protocol === 'https:' ? 'HTTPS_PROXY' : 'HTTP_PROXY';
  const set = variable(environment, own) ?? variable(environment, 'ALL_PROXY');
  return set === undefined || isDirect(url, variable(environment, 'NO_PROXY')) ? undefined : parseProxy(set);
}

/** Nothing of the value is shown: it may have a password in it. */
function parseProxy({ name, value }: Variable): ProxyServer {
  const text = /^[a-z][a-z\d+.-]*:\/\//i.test(value) ? value : `http://${value}`;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || url.hostname === '') throw mistake(name, 'it is no address of a proxy');
  const scheme = url.protocol.slice(0, -1);
  if (!/^https?$/.test(scheme)) throw mistake(name, `proxies of ${scheme} are not known`);
  if (!/^\/?$/.test(url.pathname) || url.search !== '' || url.hash !== '')
    throw mistake(name, 'the address of a proxy has a path');
  return { url, variable: name };
}

function mistake(path: string, reason: string): OverlayError {
  return new OverlayError({
    operation: 'find the proxy in',
    path,
    reason,
    remedy: 'write http://[NAME:PASSWORD@]HOST:PORT or https://…, with what is special in a password as %XX',
  });
}

/** The header that logs in to a proxy. */
export function proxyAuthorization({ url }: ProxyServer): Record<string, string> {
  if (url.username === '' && url.password === '') return {};
  const plain = `${decode(url.username)}:${decode(url.password)}`;
  return { 'proxy-authorization': `Basic ${Buffer.from(plain).toString('base64')}` };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    // A percent sign that begins no escape means itself.
    return text;
  }
}

/** Where a proxy is, for a request to it or a connection. */
export function addressOf({ url }: ProxyServer): { host: string; port: number; servername: string } {
  const host = url.hostname.replace(/^\[|\]$/g, '');
  // TLS is asked by what the header Host says, unless it is told otherwise. An address is no name there (RFC 6066, 3).
  return { host, port: portOf(url), servername: isIP(host) === 0 ? host : '' };
}

function portOf({ port, protocol }: URL): number {
  return Number(port) || (protocol === 'https:' ? 443 : 80);
}

/** This machine is never asked for elsewhere; NO_PROXY lists the rest. */
function isDirect(url: URL, list: Variable | undefined): boolean {
  const host = url.hostname
    .replace(/^\[|\]$/g, '')
    .replace(/\.$/, '')
    .toLowerCase();
  if (host === 'localhost' || isWithin(host, LOOPBACK)) return true;
  const entries = (list?.value ?? '')
    .toLowerCase()
    .split(/[\s,]+/)
    .filter(Boolean);
  // All are read before one is asked: a mistake shows whichever host it is.
  return entries.map((entry) => exceptionOf(entry, list!.name)).some((means) => means(host, portOf(url)));
}

function exceptionOf(entry: string, variable: string): Exception {
  const exception = parseException(entry);
  if (exception !== undefined) return exception;
  throw new OverlayError({
    operation: 'find the proxy in',
    path: variable,
    reason: `${JSON.stringify(entry)} is no host, domain or network`,
    remedy: 'write them as in registry.example:5000, .example, 10.0.0.0/8 or [::1]:5000',
  });
}
