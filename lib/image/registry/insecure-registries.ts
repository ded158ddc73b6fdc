// SPDX-License-Identifier: MIT
/**
 * Which registries may speak plain HTTP or have a certificate that nobody signed:
 * `insecure-registries` of Docker's daemon.json. Unlike Docker no name is looked up to see whether
 * its address lies in a network: otherwise a name server would decide which registries need no TLS.
 */
import { isIPv6 } from 'node:net';
import { isWithin, LOOPBACK, parseNetwork } from '../connection/networks.js';
import { isRegistryHost } from '../model/reference.js';

const LARGEST_PORT = 65535;

/** A host and its port as they are compared: in lower case, IPv6 in brackets and in its short form. */
function normalHost(text: string): { name: string; port: string | undefined } {
  const [, host, port] = /^(\[.*\]|[^:]*)(?::(\d+))?$/.exec(text) ?? [undefined, text, undefined];
  const address = host.replace(/^\[|\]$/g, '');
  // A URL has the form of RFC 5952.
  const name = isIPv6(address) ? new URL(`http://[${address}]`).hostname : host.toLowerCase();
  return { name, port };
}

/** An entry as it is compared: `host`, `host:port` or `address/bits`; undefined where it cannot be meant. */
export function parseInsecure(entry: string): string | undefined {
  // Docker takes a scheme off, too.
  const text = entry
    .trim()
    .replace(/^https?:\/\//i, '')
    .replace(/\/$/, '');
  if (text.includes('/')) return parseNetwork(text);
  if (isIPv6(text)) return normalHost(`[${text}]`).name;
  if (!isRegistryHost(text)) return undefined;
  const { name, port } = normalHost(text);
  if (name.startsWith('[') && !isIPv6(name.slice(1, -1))) return undefined;
  if (port === undefined) return name;
  return Number(port) > 0 && Number(port) <= LARGEST_PORT ? `${name}:${Number(port)}` : undefined;
}

/** Whether a host may be reached without TLS: named, in a named network, or on this machine. */
export function isInsecure(host: string, insecure: readonly string[]): boolean {
  const { name, port } = normalHost(host);
  const address = name.replace(/^\[|\]$/g, '');
  if (name === 'localhost' || isWithin(address, LOOPBACK)) return true;
  const spellings = [name, ...(port === undefined ? ['443', '80'] : [port]).map((one) => `${name}:${one}`)];
  return spellings.some((one) => insecure.includes(one)) || isWithin(address, insecure);
}
