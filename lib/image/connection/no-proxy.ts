// SPDX-License-Identifier: MIT
/** Entries of NO_PROXY, as golang.org/x/net/http/httpproxy reads them. What cannot be meant is told, not passed over. */
import { isIP } from 'node:net';
import { domainToASCII } from 'node:url';
import { isWithin, parseNetwork } from './networks.js';

/** Whether an entry means a host, which is an address without brackets or a name in lower case. */
export type Exception = (host: string, port: number) => boolean;

const LARGEST_PORT = 65535;
/** Labels of a name, of which the last is no number: that would be an address. */
const NAME = /^(?:[\p{L}\p{N}_-]+\.)*(?!\d+$)[\p{L}\p{N}_-]+$/u;

/** An entry: `*`, a network, or an address or a domain, each with a port or without. Undefined for what is none of them. */
export function parseException(entry: string): Exception | undefined {
  if (entry === '*') return () => true;
  if (entry.includes('/')) {
    const network = parseNetwork(entry);
    return network === undefined ? undefined : (host) => isWithin(host, [network]);
  }
  const [, text, port] =
    isIP(entry) === 6 ? [entry, entry] : (/^(\[.*\]|[^:]*)(?::(\d+))?$/.exec(entry) ?? []);
  if (text === undefined || (port !== undefined && Number(port) > LARGEST_PORT)) return undefined;
  const means = hostsOf(text);
  if (means === undefined) return undefined;
  return (host, asked) => (port === undefined || Number(port) === asked) && means(host);
}

function hostsOf(text: string): ((host: string) => boolean) | undefined {
  const address = text.replace(/^\[(.*)\]$/, '$1');
  const family = isIP(address);
  if (family !== 0) return (host) => isWithin(host, [`${address}/${family === 4 ? 32 : 128}`]);
  const [, beneath, name] = /^(\*?\.)?(.*?)\.?$/.exec(text)!;
  if (!NAME.test(name)) return undefined;
  const domain = domainToASCII(name);
  // `.domain` and `*.domain` are what lies beneath it.
  return (host) => host.endsWith(`.${domain}`) || (beneath === undefined && host === domain);
}
