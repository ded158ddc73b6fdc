// SPDX-License-Identifier: MIT
/** Ports of EXPOSE. */
import { isIP } from 'node:net';
import { DockerfileError, type Place } from '../language/failure.js';

function portRange(text: string): [first: number, last: number] | undefined {
  const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text);
  const first = Number(match?.[1]);
  const last = Number(match?.[2] ?? match?.[1]);
  return match !== null && first <= last && last <= 65535 ? [first, last] : undefined;
}

/**
 * `80`, `80/udp`, `8000-8010/tcp`. A host's address and port before it, as of --publish, must be right and mean
 * nothing (BuildKit, convert_expose.go).
 */
export function exposedPorts(place: Place, text: string): string[] {
  const parts = text.split(':');
  const [ports, given = ''] = parts[parts.length - 1].split(/\/(.*)/s);
  const protocol = given.toLowerCase() || 'tcp';
  const container = portRange(ports);
  if (container === undefined || !['tcp', 'udp', 'sctp'].includes(protocol))
    throw new DockerfileError(place, `${text} is not a port`, 'write it as in 80, 80/udp or 8000-8010');
  const [first, last] = container;
  const hostPorts = parts.at(-2) ?? '';
  const host = hostPorts === '' ? container : portRange(hostPorts);
  const address = parts
    .slice(0, -2)
    .join(':')
    .replace(/^\[(.*)\]$/, '$1');
  const fits = host !== undefined && (first === last || host[1] - host[0] === last - first);
  if (!fits || (address !== '' && isIP(address) === 0))
    throw new DockerfileError(
      place,
      `${text} is not a port`,
      `write the container's port alone, as in ${ports}`,
    );
  return Array.from({ length: last - first + 1 }, (_, offset) => `${first + offset}/${protocol}`);
}
