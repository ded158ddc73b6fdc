// SPDX-License-Identifier: MIT
/** Namespaces of the calling thread (namespaces(7)). All answer >= 0 or a negated errno. */
import { fromText } from '../base/bytes.js';
import { close, O_RDONLY, openPath } from './files.js';
import { raw, result } from './libc.js';
import { ownedArgument } from './names.js';

/** CLONE_* of clone(2). */
export const NAMESPACES = {
  mount: 0x20000,
  cgroup: 0x2000000,
  uts: 0x4000000,
  ipc: 0x8000000,
  user: 0x10000000,
  pid: 0x20000000,
  network: 0x40000000,
} as const;

export type NamespaceName = keyof typeof NAMESPACES;

/** Names of the files in /proc/PID/ns. */
const FILES: Record<NamespaceName, string> = {
  mount: 'mnt',
  cgroup: 'cgroup',
  uts: 'uts',
  ipc: 'ipc',
  user: 'user',
  pid: 'pid',
  network: 'net',
};

/** A process's namespace as a path. */
export function namespacePath(process: number | 'self', name: NamespaceName): string {
  return `/proc/${process}/ns/${FILES[name]}`;
}

/** A new pid namespace is for the children alone, and a new mount namespace for this thread alone. */
export function unshareNamespaces(names: readonly NamespaceName[]): number {
  return result(raw.unshare(names.reduce((flags, name) => flags | NAMESPACES[name], 0)));
}

/** Opens a namespace, to enter it later. */
export function openNamespace(path: string): number {
  return openPath(fromText(path), O_RDONLY);
}

/** Enters an opened namespace; a mount namespace only where this thread shares its directories with no other. */
export function enterNamespace(fd: number, name: NamespaceName): number {
  return result(raw.setns(fd, NAMESPACES[name]));
}

export function enterNamespaceAt(path: string, name: NamespaceName): number {
  const fd = openNamespace(path);
  if (fd < 0) return fd;
  const status = enterNamespace(fd, name);
  close(fd);
  return status;
}

export function setHostname(name: string): number {
  const bytes = ownedArgument(fromText(name));
  return result(raw.sethostname(bytes, bytes.length - 1));
}

const AF_INET = 2;
const SOCK_DGRAM = 2;
const SIOCSIFFLAGS = 0x8914;
const IFF_UP_RUNNING = 0x41;
const SIZEOF_IFREQ = 40;

/** Brings the loopback device of this network namespace up (netdevice(7)). */
export function raiseLoopback(): number {
  const socket = result(raw.socket(AF_INET, SOCK_DGRAM, 0));
  if (socket < 0) return socket;
  const request = Buffer.alloc(SIZEOF_IFREQ);
  request.write('lo', 0, 'latin1');
  request.writeInt16LE(IFF_UP_RUNNING, 16);
  const status = result(raw.ioctl(socket, SIOCSIFFLAGS, request));
  close(socket);
  return status;
}
