// SPDX-License-Identifier: MIT
/** Published ports: a proxy in the container's server, which needs no firewall's help, for TCP and UDP. */
import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { OverlayError } from '../../base/errors.js';
import type { HeldList } from '../../supervise/held.js';
import type { PortMapping } from '../state/config.js';

/** An UDP conversation that was silent for so long is over. */
const UDP_IDLE_MS = 90_000;

export interface Published {
  /** With the port that was chosen where any would do. */
  mapping: PortMapping;
  close(): void;
  /** Notes where it listens among what the next server is handed; datagrams that come meanwhile are lost. */
  keepIn(list: HeldList): KeptPort;
}

export interface KeptPort {
  mapping: PortMapping;
  /** The descriptor where it listens; undefined where it is to be opened again. */
  socket?: number | undefined;
}

export function formatPort({ hostAddress, hostPort, containerPort, protocol }: PortMapping): string {
  return `${hostAddress === '' ? '0.0.0.0' : hostAddress}:${hostPort}->${containerPort}/${protocol}`;
}

/** `8080`, `8000-8010` */
export function hostPorts({ hostPort, hostPortLast }: PortMapping): string {
  return hostPortLast === undefined ? String(hostPort) : `${hostPort}-${hostPortLast}`;
}

function portFailure(mapping: PortMapping, cause: unknown): OverlayError {
  const { hostAddress, protocol } = mapping;
  const { code } = cause as NodeJS.ErrnoException;
  const ports = hostPorts(mapping);
  const taken = mapping.hostPortLast === undefined ? 'the port is taken' : 'every port of the range is taken';
  const reasons: Record<string, [reason: string, remedy: string]> = {
    EADDRINUSE: [taken, 'choose another with -p, or stop what has it (`tsoverlay ps`)'],
    EACCES: ['ports below 1024 are for root', 'choose a higher one with -p'],
    EADDRNOTAVAIL: ['this machine has no such address', 'give one that it has, or none'],
  };
  const [reason, remedy] = reasons[code ?? ''] ?? [(cause as Error).message, undefined];
  const place = hostAddress === '' ? `${ports}/${protocol}` : `${hostAddress}:${ports}/${protocol}`;
  return new OverlayError({ operation: 'publish port', path: place, reason, remedy, cause });
}

/**
 * Publishes all ports or none. `address` is the container's; `socket` listens already, for the only one of them.
 * Throws an OverlayError that names the port.
 */
export async function publishPorts(
  mappings: readonly PortMapping[],
  address: () => string,
  socket?: number,
): Promise<Published[]> {
  const published: Published[] = [];
  try {
    for (const mapping of mappings) published.push(await publishPort(mapping, address, socket));
    return published;
  } catch (failure) {
    for (const one of published) one.close();
    throw failure;
  }
}

async function publishPort(mapping: PortMapping, address: () => string, socket?: number): Promise<Published> {
  const publish = mapping.protocol === 'tcp' ? publishTcp : publishUdp;
  const { hostPortLast = mapping.hostPort, ...single } = mapping;
  for (let hostPort = mapping.hostPort; ; hostPort++) {
    try {
      return await publish({ ...single, hostPort }, address, socket);
    } catch (failure) {
      const isTaken = (failure as NodeJS.ErrnoException).code === 'EADDRINUSE';
      if (!isTaken || hostPort >= hostPortLast) throw portFailure(mapping, failure);
    }
  }
}

/** Throws an OverlayError if one of the ports cannot be had now. `ownerOf` names the container that has one. */
export async function checkPorts(
  mappings: readonly PortMapping[],
  ownerOf: (mapping: PortMapping) => string | undefined,
): Promise<void> {
  for (const mapping of mappings) {
    const owner = ownerOf(mapping);
    if (owner === undefined) continue;
    throw new OverlayError({
      operation: 'publish port',
      path: `${mapping.hostPort}/${mapping.protocol}`,
      reason: `container ${owner} has it`,
      remedy: `choose another with -p, or stop it with \`tsoverlay stop ${owner}\``,
    });
  }
  for (const one of await publishPorts(mappings, () => '')) one.close();
}

/** Whether what is wanted is a port of the same address that one has; a range goes round it. */
export function portsClash(had: PortMapping, wanted: PortMapping): boolean {
  if (wanted.hostPortLast !== undefined) return false;
  const sameAddress =
    had.hostAddress === wanted.hostAddress || had.hostAddress === '' || wanted.hostAddress === '';
  return (
    sameAddress && had.hostPort !== 0 && had.hostPort === wanted.hostPort && had.protocol === wanted.protocol
  );
}

function publishTcp(mapping: PortMapping, address: () => string, socket?: number): Promise<Published> {
  const connections = new Set<Socket>();
  const server: Server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    const inner = connect({
      host: address(),
      port: mapping.containerPort,
      allowHalfOpen: true,
      noDelay: true,
    });
    for (const [socket, other] of [
      [client, inner],
      [inner, client],
    ]) {
      connections.add(socket);
      socket.on('error', () => other.destroy());
      socket.on('close', () => connections.delete(socket));
      socket.pipe(other);
    }
  });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    const host = mapping.hostAddress === '' ? undefined : mapping.hostAddress;
    server.listen(socket === undefined ? { port: mapping.hostPort, host } : { fd: socket }, () => {
      const { port } = server.address() as { port: number };
      const known = { ...mapping, hostPort: port };
      resolve({
        mapping: known,
        close() {
          server.close();
          for (const connection of connections) connection.destroy();
        },
        keepIn: (list) => ({ mapping: known, socket: list.add(descriptorOf(server)) }),
      });
    });
  });
}

/** Node has the descriptor of a listening socket, and no name for it. */
function descriptorOf(server: Server): number {
  return (server as unknown as { _handle: { fd: number } })._handle.fd;
}

/** Each client has a socket of its own towards the container, so that answers find back. */
function publishUdp(mapping: PortMapping, address: () => string): Promise<Published> {
  const type = mapping.hostAddress.includes(':') ? 'udp6' : 'udp4';
  const outer = createSocket(type);
  const inner = new Map<string, { socket: UdpSocket; timer: NodeJS.Timeout }>();
  outer.on('message', (bytes, { address: host, port }) => {
    const key = `${host}:${port}`;
    const known = inner.get(key);
    if (known !== undefined) {
      known.timer.refresh();
      known.socket.send(bytes, mapping.containerPort, address());
      return;
    }
    const socket = createSocket('udp4');
    const forget = (): void => {
      if (inner.delete(key)) socket.close();
    };
    // Nobody listens in the container: to the client it is as if nobody did here.
    socket.on('error', forget);
    socket.on('message', (answer) => outer.send(answer, port, host));
    inner.set(key, { socket, timer: setTimeout(forget, UDP_IDLE_MS).unref() });
    socket.send(bytes, mapping.containerPort, address());
  });
  return new Promise((resolve, reject) => {
    outer.once('error', reject);
    outer.bind(mapping.hostPort, mapping.hostAddress === '' ? undefined : mapping.hostAddress, () => {
      const known = { ...mapping, hostPort: outer.address().port };
      resolve({
        mapping: known,
        keepIn: () => ({ mapping: known }),
        close() {
          outer.close();
          for (const { socket, timer } of inner.values()) {
            clearTimeout(timer);
            socket.close();
          }
          inner.clear();
        },
      });
    });
  });
}
