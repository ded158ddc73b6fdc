// SPDX-License-Identifier: MIT
/**
 * The second driver: the npm package fuse-native over libfuse 2, for systems
 * where the first cannot run. It serves on the main thread, by path.
 */
import { createRequire } from 'node:module';
import { fromText } from '../base/bytes.js';
import { EIO, errnoName } from '../base/errno.js';
import { OverlayError } from '../base/errors.js';
import { unmountFuse } from '../fuse/mount.js';
import { completeCopies } from '../overlay/copy-up/lazy-copy.js';
import type { Union } from '../overlay/nodes/union.js';
import { openUnion } from '../overlay/open/open.js';
import { listMounts, MS_NODEV, MS_NOEXEC, MS_NOSUID, MS_RDONLY } from '../sys/mounts.js';
import type { MountConfig, MountFigures, RunningMount } from './config.js';
import { pathOperations } from './path-operations.js';

interface FuseNative {
  mount(done: (failure: Error | null) => void): void;
}

interface FuseNativeClass {
  new (target: string, operations: object, options: object): FuseNative;
}

/** libfuse 2 does not say when a mount goes; the list of mounts is asked this often. */
const WATCH_MS = 250;

export async function startFuseNativeDriver(
  config: MountConfig,
  reportFault: (text: string) => void,
): Promise<RunningMount> {
  const Fuse = loadBinding();
  const union = openUnion(config);
  const counts: Record<string, number> = {};
  const operations = pathOperations(union, counts, (name, fault) =>
    reportFault(`${name}: ${fault instanceof Error ? fault.stack : String(fault)}`),
  );
  const fuse = new Fuse(config.target, operations, {
    // The binding knows no other options; they are joined by commas, so further ones can follow the name.
    fsname: [config.source, ...mountFlags(config.flags)].join(','),
    subtype: config.subtype,
    allowOther: config.allowOther,
    defaultPermissions: true,
    timeout: false,
  });
  try {
    await new Promise<void>((resolve, reject) => {
      fuse.mount((failure) => (failure === null ? resolve() : reject(failure)));
    });
  } catch (cause) {
    union.close();
    throw new OverlayError({
      operation: 'mount',
      path: config.target,
      errno: EIO,
      reason: `libfuse 2 says: ${(cause as Error).message}`,
      remedy: 'see its own message above, or use --driver kernel',
      cause,
    });
  }
  return {
    figures: () => figuresOf(union, counts),
    ways: union.work?.ways ?? null,
    unmount: (detach) => unmountFuse(config.target, detach),
    ended: watch(config.target).then(() => {
      const completed = completeCopies(union);
      if (completed < 0) reportFault(`copies in the background: ${errnoName(completed)}`);
      union.close();
      return undefined;
    }),
  };
}

function loadBinding(): FuseNativeClass {
  try {
    return createRequire(import.meta.url)('fuse-native') as FuseNativeClass;
  } catch (cause) {
    throw new OverlayError({
      operation: 'load the fuse-native driver',
      reason: (cause as Error).message,
      remedy: 'install libfuse 2 (apt-get install libfuse2), or use --driver kernel',
      cause,
    });
  }
}

/** libfuse 2 mounts with nosuid and nodev unless told otherwise. */
function mountFlags(flags: number): string[] {
  return [
    flags & MS_NOSUID ? 'nosuid' : 'suid',
    flags & MS_NODEV ? 'nodev' : 'dev',
    ...(flags & MS_NOEXEC ? ['noexec'] : []),
    ...(flags & MS_RDONLY ? ['ro'] : []),
  ];
}

function watch(target: string): Promise<void> {
  const name = fromText(target);
  return new Promise((resolve) => {
    const timer = setInterval(() => {
      if (listMounts().some((mount) => mount.target === name && mount.type.startsWith('fuse'))) return;
      clearInterval(timer);
      resolve();
    }, WATCH_MS);
  });
}

function figuresOf(union: Union, counts: Record<string, number>): MountFigures {
  return {
    requests: Object.values(counts).reduce((sum, count) => sum + count, 0),
    requestsByName: { ...counts },
    nodes: union.nodes.size,
    listedEntries: union.listedEntries,
    openDirectories: union.directories.size,
    openFiles: union.files.size,
    residentMemory: process.memoryUsage.rss(),
    shimMemory: 0,
    hungLayers: [],
  };
}
