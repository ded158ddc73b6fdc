// SPDX-License-Identifier: MIT
/** What one mount consists of, as the command line, the library and the server process pass it on. */
import type { LayerSet } from '../overlay/layers/layer-set.js';
import type { UpperWays } from '../overlay/layers/upper-probe.js';
import type { Held } from '../supervise/held.js';
import type { Shim } from '../supervise/shim.js';

export type DriverName = 'kernel' | 'fuse-native';

export interface MountConfig extends LayerSet {
  /** An existing directory, absolute. */
  target: string;
  driver: DriverName;
  /** The mount outlives the server: a shim starts another one (shim.ts), the mount's own or one that its owner starts. */
  kept?: boolean | 'by owner' | undefined;
  /** MS_* flags of the mount: read-only, nosuid, nodev, noexec, noatime… */
  flags: number;
  /** Other users may use the mount; default for root. */
  allowOther: boolean;
  /** Small writes are gathered by the kernel; see native-notes/fuse-protocol.md. */
  writeback: boolean;
  /** Seconds without progress after which a server with a shim is taken for stuck; 0: never. Default 60. */
  hangTimeout?: number | undefined;
  /** Seconds that the kernel may keep names and attributes; as long as it likes without it. */
  timeout?: number | undefined;
  noAcl?: boolean | undefined;
  noXattrs?: boolean | undefined;
  /** A descriptor of /dev/fuse that is mounted at the target already. */
  device?: number | undefined;
  /** What tells node ids of this mount from those of others in file handles; chosen when it is mounted. */
  generation?: number | undefined;
  /** SELinux context of every file. */
  context?: string | undefined;
  /** What /proc/mounts shows as source. */
  source: string;
  /** What /proc/mounts shows after `fuse.`. */
  subtype: string;
}

/** Figures of a live mount. Counts are since it was mounted. */
export interface MountFigures {
  requests: number;
  /** By name of the request (LOOKUP, READ…). */
  requestsByName: Record<string, number>;
  nodes: number;
  listedEntries: number;
  openDirectories: number;
  openFiles: number;
  /** Bytes. */
  residentMemory: number;
  /** Of the shim, in bytes; 0 where there is none. */
  shimMemory: number;
  /** Paths of layers that have stopped answering. */
  hungLayers: string[];
}

/** How a driver hands over a live mount. */
export interface RunningMount {
  figures(): MountFigures;
  /** Unmounts; -EBUSY while programs use the mount, unless it is detached. Answers 0 or a negated errno. */
  unmount(detach: boolean): number;
  /** Settles when the mount is gone and everything is closed; the reason where it is no plain unmount. */
  readonly ended: Promise<string | undefined>;
  /** Where the mount outlives this process. */
  readonly shim?: Shim | undefined;
  /** What a successor needs, where the mount's owner (a container) has the shim. */
  readonly held?: HeldMount | undefined;
  /** How its upper is written; null where nothing is. */
  readonly ways: UpperWays | null;
  /** Its owner has started a shim for it. */
  keptBy?(shim: Shim): void;
}

/** Descriptors of what makes a mount, for the next server. */
export type HeldMount = Held & { device: number };
