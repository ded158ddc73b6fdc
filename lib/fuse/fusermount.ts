// SPDX-License-Identifier: MIT
/**
 * Mounting without privilege: the set-user-ID program fusermount3 opens /dev/fuse
 * and mounts it, and hands the descriptor back over a socket whose number it finds
 * in _FUSE_COMMFD (fusermount3(1); fuse_mount_fusermount in libfuse's lib/mount.c).
 */
import { childProcesses } from '../base/builtins.js';
import { EBUSY, EINVAL, ENOENT, EPERM, type Errno } from '../base/errno.js';
import { check, OverlayError } from '../base/errors.js';
import { receiveDescriptor, setStatusFlags, socketPair } from '../sys/channels.js';
import { close, O_NONBLOCK, O_RDWR } from '../sys/files.js';
import { MS_NOATIME, MS_NOEXEC, MS_RDONLY } from '../sys/mounts.js';
import type { FuseMountOptions } from './mount-options.js';

const PROGRAMS = ['fusermount3', 'fusermount'];
/** Descriptor of the socket in the program. */
const SOCKET = 3;

function runHelper(args: readonly string[], socket?: number): { status: number | null; stderr: string } {
  for (const program of PROGRAMS) {
    const { error, status, stderr } = childProcesses().spawnSync(program, args, {
      stdio: ['ignore', 'ignore', 'pipe', ...(socket === undefined ? [] : [socket])],
      env: { ...process.env, _FUSE_COMMFD: String(SOCKET) },
      encoding: 'utf8',
    });
    if (error === undefined) return { status, stderr: stderr.trim() };
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  throw new OverlayError({
    operation: 'run',
    path: PROGRAMS[0],
    errno: ENOENT,
    reason: 'mounting as an ordinary user needs this program',
    remedy: 'install the package fuse3, or run as root or in a user namespace of your own (unshare -Urm)',
  });
}

/** nosuid and nodev are always set for an ordinary user; the program refuses what it does not permit. */
function optionString(options: FuseMountOptions): string {
  const comma = (text: string): string => text.replace(/[\\,]/g, '\\$&');
  return [
    `fsname=${comma(options.source)}`,
    `subtype=${comma(options.subtype)}`,
    'default_permissions',
    ...(options.allowOther ? ['allow_other'] : []),
    ...((options.flags & MS_RDONLY) !== 0 ? ['ro'] : []),
    ...((options.flags & MS_NOEXEC) !== 0 ? ['noexec'] : []),
    ...((options.flags & MS_NOATIME) !== 0 ? ['noatime'] : []),
  ].join(',');
}

/** Mounts at the target and answers the descriptor of /dev/fuse, non-blocking. Throws an OverlayError. */
export function mountThroughHelper(options: FuseMountOptions): number {
  const story = { operation: 'mount', path: options.target };
  const pair = check(socketPair(), story);
  try {
    const { status, stderr } = runHelper(['-o', optionString(options), '--', options.target], pair[1]);
    if (status !== 0) {
      const remedy = stderr.includes('user_allow_other')
        ? 'let root write user_allow_other into /etc/fuse.conf, or leave allow_other out'
        : 'run as root, or in a user namespace of your own (unshare -Urm)';
      throw new OverlayError({ ...story, errno: EPERM, reason: stderr || 'fusermount3 refused it', remedy });
    }
    const fd = receiveDescriptor(pair[0]);
    check(fd, { ...story, reason: 'fusermount3 handed over no descriptor' });
    check(setStatusFlags(fd, O_RDWR | O_NONBLOCK), story);
    return fd;
  } finally {
    close(pair[0]);
    close(pair[1]);
  }
}

/** Answers 0, -EBUSY while programs use the mount, -EINVAL where there is none, or -EPERM. */
export function unmountThroughHelper(target: string, detach: boolean): Errno {
  const { status, stderr } = runHelper(['-u', '-q', ...(detach ? ['-z'] : []), '--', target]);
  if (status === 0) return 0;
  if (/busy/i.test(stderr)) return -EBUSY;
  return /not found|not mounted|Invalid/i.test(stderr) ? -EINVAL : -EPERM;
}
