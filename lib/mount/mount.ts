// SPDX-License-Identifier: MIT
/** `mount()` of the library: a union mounted by this process. */
import { realpathSync, statSync } from 'node:fs';
import { fromText } from '../base/bytes.js';
import { EBUSY, ENOENT, ENOTDIR } from '../base/errno.js';
import { check, OverlayError } from '../base/errors.js';
import type { LayerSet } from '../overlay/layers/layer-set.js';
import type { UpperWays } from '../overlay/layers/upper-probe.js';
import type { Shim } from '../supervise/shim.js';
import { listMounts, MS_RDONLY } from '../sys/mounts.js';
import type { DriverName, HeldMount, MountConfig, MountFigures, RunningMount } from './config.js';
import { startKernelDriver } from './kernel-driver.js';

export interface MountOptions extends LayerSet {
  driver?: DriverName | undefined;
  /** MS_* flags; see mount(2). */
  flags?: number | undefined;
  /** Other users may use the mount; default for root. */
  allowOther?: boolean | undefined;
  /**
   * The kernel gathers small writes and sends them later: four times as fast for
   * writes of 4 KiB, but every close costs the next stat a request. Default false.
   */
  writeback?: boolean | undefined;
  /** Seconds without progress after which a server with a shim is taken for stuck; 0: never. Default 60. */
  hangTimeout?: number | undefined;
  /** Seconds that the kernel may keep names and attributes; default as long as it likes. */
  timeout?: number | undefined;
  /** No POSIX ACLs. */
  noAcl?: boolean | undefined;
  /** No extended attributes. */
  noXattrs?: boolean | undefined;
  /** SELinux context of every file. */
  context?: string | undefined;
  /** A descriptor of /dev/fuse that somebody else has mounted at the target; it becomes the mount's. */
  device?: number | undefined;
  source?: string | undefined;
  subtype?: string | undefined;
  /** The mount outlives this process, which serves it and nothing else, or sees to its being kept (Mount.held). */
  kept?: boolean | 'by owner' | undefined;
  /** Called with the text of an error in a request, which was answered EIO. */
  onFault?: ((text: string) => void) | undefined;
}

/** A live mount of this process. */
export class Mount implements AsyncDisposable {
  constructor(
    readonly target: string,
    readonly driver: DriverName,
    private readonly running: RunningMount,
  ) {}

  /** Settles when the mount is gone, with the reason where it is no plain unmount. */
  get ended(): Promise<string | undefined> {
    return this.running.ended;
  }

  get shim(): Shim | undefined {
    return this.running.shim;
  }

  /** How its upper is written, and what the upper's file system can do; null where nothing is written. */
  get ways(): UpperWays | null {
    return this.running.ways;
  }

  /** What is to be kept of it, with `kept: 'by owner'`. */
  get held(): HeldMount | undefined {
    return this.running.held;
  }

  /** It is kept from now on. */
  keptBy(shim: Shim): void {
    this.running.keptBy?.(shim);
  }

  figures(): MountFigures {
    return { ...this.running.figures(), shimMemory: this.shim?.residentMemory ?? 0 };
  }

  /**
   * Unmounts and waits until everything is written and closed. Throws an
   * OverlayError with code EBUSY while programs use the mount, unless `detach`
   * is set: then it is gone from the tree at once and ends when the last one leaves.
   */
  async unmount({ detach = false }: { detach?: boolean } = {}): Promise<void> {
    const status = this.running.unmount(detach);
    check(status, {
      operation: 'unmount',
      path: this.target,
      reason: status === -EBUSY ? 'programs are using it' : undefined,
      remedy: status === -EBUSY ? 'end them (see `fuser -m`), or detach it' : undefined,
    });
    if (!detach) await this.running.ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.unmount();
  }
}

/**
 * Mounts a union at an existing directory. Settles when it can be used.
 * The caller must not read or write below `target` synchronously with the
 * fuse-native driver, which serves on the calling thread.
 */
export async function mount(target: string, options: MountOptions): Promise<Mount> {
  const config = configure(target, options);
  const report = options.onFault ?? ((text) => process.emitWarning(text, 'TsoverlayFault'));
  const start = config.driver === 'kernel' ? startKernelDriver : await fuseNative();
  return new Mount(config.target, config.driver, await start(config, report));
}

/** Loaded only when asked for: it needs libfuse 2 on the system. */
async function fuseNative(): Promise<typeof startKernelDriver> {
  return (await import('./fuse-native-driver.js')).startFuseNativeDriver;
}

function configure(path: string, { onFault: _, ...options }: MountOptions): MountConfig {
  const readOnly = options.readOnly === true || options.upper === undefined;
  return {
    ...options,
    readOnly,
    // Nobody serves a mount that was handed over yet: a look at its root would wait for ever.
    target: options.device === undefined ? checkTarget(path) : path,
    driver: options.driver ?? 'kernel',
    flags: (options.flags ?? 0) | (readOnly ? MS_RDONLY : 0),
    allowOther: options.allowOther ?? process.getuid!() === 0,
    writeback: options.writeback === true,
    source: options.source ?? 'tsoverlay',
    subtype: options.subtype ?? 'tsoverlay',
  };
}

/** The target's real path. It must be a directory, and no mount of ours already. */
function checkTarget(path: string): string {
  let target: string;
  try {
    target = realpathSync(path);
  } catch (cause) {
    const missing = (cause as NodeJS.ErrnoException).code === 'ENOENT';
    throw new OverlayError({
      operation: 'mount',
      path,
      errno: missing ? ENOENT : (cause as NodeJS.ErrnoException).errno,
      reason: missing ? 'there is no such directory' : staleReason(cause),
      remedy: missing ? 'create the target first' : `unmount it with \`umount -l ${path}\` first`,
    });
  }
  if (!statSync(target).isDirectory()) {
    throw new OverlayError({
      operation: 'mount',
      path,
      errno: ENOTDIR,
      reason: 'the target is not a directory',
      remedy: 'give a directory to mount on',
    });
  }
  const present = listMounts().find((record) => record.target === fromText(target));
  if (present?.type.startsWith('fuse')) {
    throw new OverlayError({
      operation: 'mount',
      path,
      errno: EBUSY,
      reason: `${present.source} is mounted there already`,
      remedy: `unmount it with \`tsoverlay unmount ${path}\` first, or choose another target`,
    });
  }
  return target;
}

function staleReason(cause: unknown): string | undefined {
  return (cause as NodeJS.ErrnoException).code === 'ENOTCONN'
    ? 'a mount whose server has died is there'
    : undefined;
}
