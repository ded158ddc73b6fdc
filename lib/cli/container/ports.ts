// SPDX-License-Identifier: MIT
/** --publish, as docker/go-connections reads it (nat.go), and docker/cli its long form. Throws UsageError. */
import { isIP } from 'node:net';
import { UsageError } from '../../base/errors.js';
import type { PortMapping } from '../../container/state/config.js';

const NOTATION = 'write HOST:CONTAINER, as in 8080:80, 127.0.0.1:8080:80/tcp or 8000-8010:8000-8010';

/** `whole` is what it is said to be part of. */
export function portRange(text: string, whole: string): [first: number, last: number] {
  const match = /^(\d+)(?:-(\d+))?$/.exec(text);
  const first = Number(match?.[1]);
  const last = Number(match?.[2] ?? match?.[1]);
  if (match !== null && first <= last && last <= 65535) return [first, last];
  throw new UsageError(`${whole}: ${text || 'nothing'} is not a port or a range of ports`, NOTATION);
}

/** `published=8080,target=80,protocol=tcp` in the short form. */
function shortForm(text: string): string {
  if (!text.includes('=')) return text;
  const fields = new Map([['protocol', 'tcp']]);
  for (const part of text.split(',')) {
    const equals = part.indexOf('=');
    const name = part.slice(0, Math.max(equals, 0));
    if (!['published', 'target', 'protocol', 'mode'].includes(name))
      throw new UsageError(`--publish ${text}: there is no ${part}`, 'as in published=8080,target=80');
    fields.set(name, part.slice(equals + 1));
  }
  return `${fields.get('published') ?? ''}:${fields.get('target') ?? ''}/${fields.get('protocol')}`;
}

function protocolFrom(given: string, whole: string): PortMapping['protocol'] {
  const protocol = given.toLowerCase() || 'tcp';
  if (protocol === 'tcp' || protocol === 'udp') return protocol;
  const reason = protocol === 'sctp' ? 'sctp is not supported' : `there is no protocol ${given}`;
  throw new UsageError(`--publish ${whole}: ${reason}`, 'it is tcp or udp');
}

function addressFrom(given: string, whole: string): string {
  const address = /^\[.*\]$/.test(given) ? given.slice(1, -1) : given;
  // A zone (`fe80::1%eth0`) is not part of an address for Go's ParseIP.
  if (given === '' || (isIP(address) !== 0 && !address.includes('%'))) return address;
  throw new UsageError(`--publish ${whole}: ${given} is not an IP address`, NOTATION);
}

/** `[[ADDRESS:]HOST:]CONTAINER[/PROTOCOL]`, each port a range if need be. */
export function parsePorts(given: string): PortMapping[] {
  const parts = shortForm(given).split(':');
  const [container, ...protocolParts] = parts[parts.length - 1].split('/');
  const protocol = protocolFrom(protocolParts.join('/'), given);
  const hostAddress = addressFrom(parts.slice(0, -2).join(':'), given);
  const host = parts.length > 1 ? parts[parts.length - 2] : '';
  const [first, last] = portRange(container, `--publish ${given}`);
  if (first === 0) throw new UsageError(`--publish ${given}: a container has no port 0`, NOTATION);
  const [hostFirst, hostLast] = host === '' ? [0, 0] : portRange(host, `--publish ${given}`);
  // For one port of the container a range is what its port of the host is chosen from.
  if (first === last && hostFirst !== hostLast) {
    return [{ hostAddress, hostPort: hostFirst, hostPortLast: hostLast, containerPort: first, protocol }];
  }
  if (host !== '' && hostLast - hostFirst !== last - first) {
    throw new UsageError(
      `--publish ${given}: the ranges differ in length`,
      'give as many ports on either side',
    );
  }
  return Array.from({ length: last - first + 1 }, (_, offset) => ({
    hostAddress,
    hostPort: host === '' ? 0 : hostFirst + offset,
    containerPort: first + offset,
    protocol,
  }));
}
