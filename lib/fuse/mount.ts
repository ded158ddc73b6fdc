// SPDX-License-Identifier: MIT
/** Mounting and unmounting: mount(2) with a descriptor of /dev/fuse, as privileged programs do. */
import { closeSync, existsSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { fromText, toText } from '../base/bytes.js';
import { mountDebug } from '../base/debug.js';
import { EACCES, EINVAL, ENODEV, ENOENT, ENXIO, EPERM, type Errno } from '../base/errno.js';
import { check, OverlayError } from '../base/errors.js';
import { setStatusFlags } from '../sys/channels.js';
import { close, O_NONBLOCK, O_RDWR } from '../sys/files.js';
import {
  listMounts,
  MNT_DETACH,
  mountFileSystem,
  UMOUNT_NOFOLLOW,
  unmountFileSystem,
} from '../sys/mounts.js';
import { mayMount } from '../sys/privilege.js';
import { mountThroughHelper, unmountThroughHelper } from './fusermount.js';
import type { FuseMountOptions } from './mount-options.js';

const DEVICE = '/dev/fuse';

const owned = new Set<number>();

/**
 * Opened by Node, which closes it where a worker is terminated (trackUnmanagedFds): else the mount's
 * users would wait for ever for a thread that is no more.
 */
function openOwned(path: string, flags: number): number {
  try {
    const fd = openSync(path, flags);
    owned.add(fd);
    return fd;
  } catch (failure) {
    return (failure as NodeJS.ErrnoException).errno!;
  }
}

/** Opens /dev/fuse, non-blocking. Throws an OverlayError that says what to do where it cannot be opened. */
function openFuseDevice(): number {
  const fd = openOwned(DEVICE, O_RDWR | O_NONBLOCK);
  if (fd >= 0) return fd;
  const missing = fd === -ENOENT || fd === -ENODEV || fd === -ENXIO;
  throw new OverlayError({
    operation: 'open',
    path: DEVICE,
    errno: fd,
    reason: missing ? 'this system has no FUSE device' : undefined,
    remedy: missing
      ? 'load the module with `modprobe fuse`, or give the container the device (--device /dev/fuse)'
      : fd === -EACCES || fd === -EPERM
        ? 'run as root, or let your user open it (chmod 0666 /dev/fuse)'
        : undefined,
  });
}

/**
 * Mounts at the target, with privilege of one's own or through fusermount3, and
 * answers the descriptor of /dev/fuse to serve. Throws an OverlayError.
 */
export function mountFuse(options: FuseMountOptions): number {
  if (options.device !== undefined) {
    check(setStatusFlags(options.device, O_RDWR | O_NONBLOCK), { operation: 'take over', path: DEVICE });
    return options.device;
  }
  if (!mayMount()) return mountThroughHelper(options);
  const fd = openFuseDevice();
  try {
    mountDevice(fd, options);
    return fd;
  } catch (failure) {
    closeDevice(fd);
    throw failure;
  }
}

function mountDevice(fd: number, options: FuseMountOptions): void {
  const data = [
    `fd=${fd}`,
    'rootmode=40000',
    `user_id=${process.getuid!()}`,
    `group_id=${process.getgid!()}`,
    'default_permissions',
    ...(options.allowOther ? ['allow_other'] : []),
    ...(options.context === undefined ? [] : [`context=${requireSelinux(options.context)}`]),
  ].join(',');
  const type = `fuse.${options.subtype}`;
  const status = mountFileSystem(options.source, fromText(options.target), type, options.flags, data);
  check(status, {
    operation: 'mount',
    path: options.target,
    reason:
      status === -EPERM
        ? 'mounting is not permitted'
        : status === -EINVAL
          ? 'the kernel refused it'
          : undefined,
    remedy: status === -EPERM ? 'run as root, or in a user namespace of your own (unshare -Ur)' : undefined,
  });
}

function requireSelinux(context: string): string {
  if (existsSync('/sys/fs/selinux/enforce')) return context;
  throw new OverlayError({
    operation: 'mount with',
    path: `context=${context}`,
    reason: 'this kernel does not run SELinux',
    remedy: 'leave the option out',
  });
}

/**
 * Where a descriptor of /dev/fuse is mounted. Its fdinfo names the connection, which
 * is the minor number of the mount's device; before Linux 6.15 it does not, and the
 * newest FUSE mount is taken for it. Throws an OverlayError.
 */
export function targetOfDevice(fd: number): string {
  const connection = connectionOf(fd);
  const mount = listMounts().findLast(({ type, device }) =>
    connection === undefined ? /^fuse\b/.test(type) : device === `0:${connection}`,
  );
  const story = { operation: 'serve', path: `/dev/fd/${fd}` };
  if (mount === undefined) {
    throw new OverlayError({
      ...story,
      reason: 'it is no mounted descriptor of /dev/fuse',
      remedy: 'give a directory to mount on',
    });
  }
  if (!mount.options.split(',').includes('default_permissions')) {
    throw new OverlayError({
      ...story,
      reason: 'it is mounted without default_permissions, so nobody would check who may do what',
      remedy: 'add default_permissions to its options',
    });
  }
  return toText(mount.target);
}

function connectionOf(fd: number): string | undefined {
  try {
    return /^fuse_connection:\s*(\d+)/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1'))?.[1];
  } catch (failure) {
    mountDebug('descriptor %d: %s', fd, failure);
    return undefined;
  }
}

/** Unmounts. Answers 0 or a negated errno; -EBUSY while programs use the mount, unless it is detached. */
export function unmountFuse(target: string, detach: boolean): Errno {
  const status = unmountFileSystem(fromText(target), UMOUNT_NOFOLLOW | (detach ? MNT_DETACH : 0));
  return status === -EPERM && !mayMount() ? unmountThroughHelper(target, detach) : status;
}

/**
 * Lets the kernel read ahead as much as one request carries. INIT can only lower
 * the 128 KiB that a new mount starts with; the rest is the administrator's to
 * set, so a refusal costs speed and nothing else.
 */
export function raiseReadAhead(target: string, kibibytes: number): void {
  const mount = listMounts().findLast((record) => record.target === fromText(target));
  if (mount === undefined) return;
  try {
    writeFileSync(`/sys/class/bdi/${mount.device}/read_ahead_kb`, String(kibibytes));
  } catch (failure) {
    mountDebug('read-ahead stays as it is: %s', failure);
  }
}

export function closeDevice(fd: number): void {
  if (owned.delete(fd)) closeSync(fd);
  else close(fd);
}
