// SPDX-License-Identifier: MIT
/** /etc/hosts, /etc/hostname and /etc/resolv.conf: files of the container's directory, shown in its /etc. */
import { closeSync, existsSync, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';
import { hasTrustedAttributes } from '../../sys/privilege.js';
import { type Attachment, readNetwork } from '../network/bridge.js';
import { USER_NETWORK_GATEWAY, USER_NETWORK_RESOLVER } from '../network/user-network.js';
import { type SpecMount, specMount } from '../spec/defaults.js';
import { type ContainerConfig, HOST_GATEWAY, hostnameOf } from '../state/config.js';
import type { Container } from '../state/containers.js';

const LOCAL_HOSTS = `127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::0\tip6-localnet
ff00::0\tip6-mcastprefix
ff02::1\tip6-allnodes
ff02::2\tip6-allrouters
`;

/** What every container is given, so that its places are made where an image lacks them. */
export const CONTAINER_PLACES: ReadonlySet<string> = new Set([
  '/dev',
  '/proc',
  '/sys',
  '/etc/hosts',
  '/etc/hostname',
  '/etc/resolv.conf',
]);

const RESOLV = '/etc/resolv.conf';
/** Where systemd-resolved says which servers it asks itself. */
const RESOLVED = '/run/systemd/resolve/resolv.conf';
/** As Docker does where the host names none that a container can reach. */
const PUBLIC_SERVERS = ['8.8.8.8', '8.8.4.4'];

/** What leads from the container to the host. */
function gatewayOf({ store }: Container, address: string): string {
  return address === '' ? '127.0.0.1' : (readNetwork(store)?.gateway ?? USER_NETWORK_GATEWAY);
}

/** The names of everyone on the bridge, so that containers reach each other by them. */
export function composeHosts(container: Container, config: ContainerConfig, address: string): string {
  const own = address === '' ? [] : [`${address}\t${[hostnameOf(config), config.name].join(' ')}`];
  const leases = address === '' ? {} : (readNetwork(container.store)?.leases ?? {});
  const others = Object.entries(leases)
    .filter(([, { id }]) => id !== container.id)
    .map(([other, { names }]) => `${other}\t${names.join(' ')}`);
  const extra = config.options.extraHosts.map((entry) => {
    const colon = entry.indexOf(':');
    const given = entry.slice(colon + 1);
    return `${given === HOST_GATEWAY ? gatewayOf(container, address) : given}\t${entry.slice(0, colon)}`;
  });
  return `${LOCAL_HOSTS}${[...own, ...extra, ...others].map((line) => `${line}\n`).join('')}`;
}

/** In place and by one write: the container has the file itself, so none can take its place. */
export function writeInPlace(path: string, text: string): void {
  const fd = openSync(path, existsSync(path) ? 'r+' : 'w', 0o644);
  try {
    const size = writeSync(fd, text, 0);
    ftruncateSync(fd, size);
  } finally {
    closeSync(fd);
  }
}

function composeResolv({ options }: ContainerConfig, ownNetwork: boolean): string {
  const host = existsSync(RESOLV) ? readFileSync(RESOLV, 'utf8') : '';
  if (options.nameServers.length > 0) {
    const rest = host.split('\n').filter((line) => line !== '' && !line.startsWith('nameserver'));
    return [...options.nameServers.map((server) => `nameserver ${server}`), ...rest, ''].join('\n');
  }
  if (!ownNetwork) return host;
  // The user's own network leads to the host's servers, wherever they are.
  if (!hasTrustedAttributes())
    return `nameserver ${USER_NETWORK_RESOLVER}\n${host.replaceAll(/^\s*nameserver\s.*\n?/gm, '')}`;
  const isReachable = (line: string): boolean => !/^\s*nameserver\s+(127\.|::1)/.test(line);
  const source =
    host.split('\n').every(isReachable) || !existsSync(RESOLVED) ? host : readFileSync(RESOLVED, 'utf8');
  const lines = source.split('\n').filter((line) => isReachable(line));
  if (lines.some((line) => /^\s*nameserver\s/.test(line))) return lines.join('\n');
  return [...lines.filter(Boolean), ...PUBLIC_SERVERS.map((server) => `nameserver ${server}`), ''].join('\n');
}

/** Writes the files as a container that starts is to find them. */
export function writeFiles(
  container: Container,
  config: ContainerConfig,
  attachment: Attachment | undefined,
): void {
  const { network } = config.options;
  writeInPlace(container.path('hosts'), composeHosts(container, config, attachment?.address ?? ''));
  writeInPlace(container.path('hostname'), `${hostnameOf(config)}\n`);
  writeInPlace(container.path('resolv.conf'), composeResolv(config, network === 'bridge'));
}

/**
 * How they are mounted; a file that the user mounts himself is left to him. Read-only with the root file system, as
 * in Docker (moby's Container.NetworkMounts).
 */
export function fileMounts(
  container: Container,
  { options: { mounts, readOnly } }: ContainerConfig,
): SpecMount[] {
  const options = readOnly ? 'rbind,rprivate,ro' : 'rbind,rprivate';
  return (['hosts', 'hostname', 'resolv.conf'] as const)
    .filter((name) => !mounts.some(({ target }) => target === `/etc/${name}`))
    .map((name) => specMount(`/etc/${name}`, 'bind', options, container.path(name)));
}
