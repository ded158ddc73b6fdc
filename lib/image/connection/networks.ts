// SPDX-License-Identifier: MIT
/** Networks as `ADDRESS/BITS` (RFC 4632, RFC 4291). No name is looked up to see whether it lies in one. */
import { BlockList, isIP } from 'node:net';

/** A network as it is compared; undefined for what is none. */
export function parseNetwork(text: string): string | undefined {
  const [, address, bits] = /^([^/]*)\/(\d{1,3})$/.exec(text) ?? [];
  const bare = address?.replace(/^\[(.*)\]$/, '$1') ?? '';
  const family = isIP(bare);
  return family !== 0 && Number(bits) <= (family === 4 ? 32 : 128) ? `${bare}/${Number(bits)}` : undefined;
}

/** Whether an address lies in one of the networks of a list, which may have other things. */
export function isWithin(address: string, entries: readonly string[]): boolean {
  const family = isIP(address);
  if (family === 0) return false;
  const networks = new BlockList();
  for (const entry of entries) {
    const [base, bits] = entry.split('/');
    if (bits !== undefined) networks.addSubnet(base, Number(bits), isIP(base) === 4 ? 'ipv4' : 'ipv6');
  }
  return networks.check(address, family === 4 ? 'ipv4' : 'ipv6');
}

/** Those of this machine alone. */
export const LOOPBACK = ['127.0.0.0/8', '::1/128'];
