// SPDX-License-Identifier: MIT
/**
 * Which registries may speak plain HTTP or have a certificate that nobody signed:
 * `insecure-registries` of Docker's daemon.json. Unlike Docker no name is looked up to see whether
 * its address lies in a network: who answers for names would decide which registries need no TLS.
 */
import { BlockList, isIP, isIPv6 } from 'node:net';
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

function parseNetwork(text: string): string | undefined {
  const [, address, bits] = /^([^/]*)\/(\d{1,3})$/.exec(text) ?? [];
  const bare = address?.replace(/^\[(.*)\]$/, '$1') ?? '';
  const family = isIP(bare);
  return family !== 0 && Number(bits) <= (family === 4 ? 32 : 128) ? `${bare}/${Number(bits)}` : undefined;
}

/** Whether a host may be reached without TLS: named, in a named network, or on this machine. */
export function isInsecure(host: string, insecure: readonly string[]): boolean {
  const { name, port } = normalHost(host);
  const address = name.replace(/^\[|\]$/g, '');
  if (name === 'localhost' || isWithin(address, ['127.0.0.0/8', '::1/128'])) return true;
  const spellings = [name, ...(port === undefined ? ['443', '80'] : [port]).map((one) => `${name}:${one}`)];
  return spellings.some((one) => insecure.includes(one)) || isWithin(address, insecure);
}

/** Whether an address lies in one of the networks of a list. */
function isWithin(address: string, entries: readonly string[]): boolean {
  const family = isIP(address);
  if (family === 0) return false;
  const networks = new BlockList();
  for (const entry of entries) {
    const [base, bits] = entry.split('/');
    if (bits !== undefined) networks.addSubnet(base, Number(bits), isIP(base) === 4 ? 'ipv4' : 'ipv6');
  }
  return networks.check(address, family === 4 ? 'ipv4' : 'ipv6');
}
