// SPDX-License-Identifier: MIT
/**
 * The bridge network of a store: a bridge with a subnet of its own, a pair of
 * virtual Ethernet devices for each running container, and NAT for the way out
 * where nft or iptables is there. All of it goes with the last container.
 *
 * network.json, changed under the store's `network` lock, says which address is
 * whose. A container's devices go with its network namespace.
 */
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { cryptography } from '../../base/builtins.js';
import { OverlayError } from '../../base/errors.js';
import { StoreLock } from '../../image/store/lock.js';
import { type Store, SYSTEM_ROOT } from '../../image/store/store.js';
import { runTool } from '../../sys/tools.js';
import { replaceBlock } from '../state/small-file.js';
import { addRoutes, removeRoutes } from './nat.js';

/** Blocks that a bridge takes its subnet from: 10.64.0.0/10 in pieces of 4,096 addresses. */
const FIRST_BLOCK = 0x0a400000;
const BLOCKS = 1024;
const PREFIX = 20;
const BLOCK_SIZE = 2 ** (32 - PREFIX);

export interface Lease {
  id: string;
  /** Under which others reach it. */
  names: string[];
}

export interface Network {
  device: string;
  /** `10.70.16.0/20` */
  subnet: string;
  gateway: string;
  prefix: number;
  leases: Record<string, Lease>;
}

export interface Attachment {
  address: string;
  gateway: string;
  prefix: number;
  device: string;
}

const formatAddress = (value: number): string =>
  [24, 16, 8, 0].map((shift) => (value >>> shift) & 255).join('.');
const parseAddress = (text: string): number =>
  text.split('.').reduce((value, part) => value * 256 + Number(part), 0);

export function networkPath(store: Store): string {
  return join(store.root, 'network.json');
}

/** Undefined where nobody is on it. */
export function readNetwork(store: Store): Network | undefined {
  try {
    return JSON.parse(readFileSync(networkPath(store), 'utf8')) as Network;
  } catch (failure) {
    // A power cut may have left half a list; then nothing runs that could be on it.
    if (failure instanceof SyntaxError || (failure as NodeJS.ErrnoException).code === 'ENOENT')
      return undefined;
    throw failure;
  }
}

/** Two stores never share a bridge. */
function deviceName(root: string): string {
  if (root === SYSTEM_ROOT) return 'tsoverlay0';
  return `tso${cryptography().createHash('sha256').update(root).digest('hex').slice(0, 10)}`;
}

function vethName(id: string): string {
  return `veth${id.slice(0, 10)}`;
}

/** Destinations of the host's routes, as numbers and sizes. */
function routedBlocks(): { first: number; last: number }[] {
  const lines = readFileSync('/proc/net/route', 'latin1').split('\n').slice(1).filter(Boolean);
  return lines.flatMap((line) => {
    const fields = line.split('\t');
    const value = (hex: string): number => Buffer.from(hex, 'hex').readUInt32LE(0);
    const [first, mask] = [value(fields[1]), value(fields[7])];
    // The default route leads everywhere.
    return mask === 0 ? [] : [{ first, last: first + (0xffffffff - mask) }];
  });
}

/** A block that the host has no route into, so that nothing is hidden from it. */
function chooseSubnet(device: string): number {
  const taken = routedBlocks();
  const start = cryptography().createHash('sha256').update(device).digest().readUInt16BE(0);
  for (let step = 0; step < BLOCKS; step++) {
    const first = FIRST_BLOCK + ((start + step) % BLOCKS) * BLOCK_SIZE;
    if (!taken.some((block) => block.first < first + BLOCK_SIZE && block.last >= first)) return first;
  }
  throw new OverlayError({
    operation: 'make a bridge network',
    reason: 'the host has routes into every subnet of 10.64.0.0/10',
    remedy: 'use --network host or none',
  });
}

async function makeBridge(store: Store): Promise<Network> {
  const device = deviceName(store.root);
  const first = chooseSubnet(device);
  const subnet = `${formatAddress(first)}/${PREFIX}`;
  const gateway = formatAddress(first + 1);
  // One that a crash or a power cut left may have another address.
  if (existsSync(`/sys/class/net/${device}`)) await runTool('ip', ['link', 'delete', device]);
  const commands = [
    `link add ${device} type bridge`,
    `address add ${gateway}/${PREFIX} dev ${device}`,
    `link set ${device} up`,
  ];
  await runTool('ip', ['-batch', '-'], commands.join('\n'), 'make the bridge');
  await addRoutes(device, subnet);
  return { device, subnet, gateway, prefix: PREFIX, leases: {} };
}

/** Gives a container an address, making the network where it is the first. */
export async function lease(store: Store, id: string, names: string[]): Promise<Attachment> {
  using _lock = await StoreLock.take(store.root, 'network');
  const present = readNetwork(store);
  const isThere = present !== undefined && existsSync(`/sys/class/net/${present.device}`);
  const network = isThere ? present : await makeBridge(store);
  const base = parseAddress(network.gateway);
  for (let offset = 1; offset < BLOCK_SIZE - 2; offset++) {
    const address = formatAddress(base + offset);
    if (network.leases[address] !== undefined) continue;
    const leases = { ...network.leases, [address]: { id, names } };
    replaceBlock(networkPath(store), { ...network, leases });
    return { address, gateway: network.gateway, prefix: network.prefix, device: network.device };
  }
  throw new OverlayError({ operation: 'give the container an address', reason: `${network.subnet} is full` });
}

/** Takes a container's address back. */
export async function release(store: Store, id: string): Promise<void> {
  using _lock = await StoreLock.take(store.root, 'network');
  const network = readNetwork(store);
  if (network === undefined) return;
  // Its devices go with its network namespace, but not before the kernel gets to it.
  if (existsSync(`/sys/class/net/${vethName(id)}`)) await deleteDevice(vethName(id));
  const kept = Object.entries(network.leases).filter(([, owner]) => owner.id !== id);
  if (kept.length === Object.keys(network.leases).length) return;
  replaceBlock(networkPath(store), { ...network, leases: Object.fromEntries(kept) });
}

/** Takes the network away if nobody is on it: the kernel takes its time for that, so nobody should wait for it. */
export async function retireBridge(store: Store): Promise<void> {
  // Who has never had a network has no lock for it either.
  if (readNetwork(store) === undefined) return;
  using _lock = await StoreLock.take(store.root, 'network');
  const network = readNetwork(store);
  if (network === undefined || Object.keys(network.leases).length > 0) return;
  await removeBridge(network);
  rmSync(networkPath(store));
}

/** The same after a while in which the next container is welcome to it; also when the store is gone by then. */
export async function retireBridgeLater(store: Store, milliseconds: number): Promise<void> {
  const known = readNetwork(store);
  if (known === undefined) return;
  await delay(milliseconds);
  if (existsSync(store.root)) await retireBridge(store);
  else await removeBridge(known);
}

async function removeBridge({ device }: Network): Promise<void> {
  await removeRoutes(device);
  if (existsSync(`/sys/class/net/${device}`)) await deleteDevice(device);
}

async function deleteDevice(name: string): Promise<void> {
  try {
    await runTool('ip', ['link', 'delete', name]);
  } catch (failure) {
    if (existsSync(`/sys/class/net/${name}`)) throw failure;
  }
}

/** Connects the network namespace of a process to the bridge. */
export async function connect(pid: number, id: string, attachment: Attachment): Promise<void> {
  const { address, gateway, prefix, device } = attachment;
  const operation = 'connect the container to the bridge';
  const outside = [
    `link add ${vethName(id)} type veth peer name eth0 netns ${pid}`,
    `link set ${vethName(id)} master ${device} up`,
  ];
  await runTool('ip', ['-batch', '-'], outside.join('\n'), operation);
  const inside = [
    `address add ${address}/${prefix} dev eth0`,
    'link set eth0 up',
    `route add default via ${gateway}`,
  ];
  await runTool('nsenter', [`--net=/proc/${pid}/ns/net`, 'ip', '-batch', '-'], inside.join('\n'), operation);
}
