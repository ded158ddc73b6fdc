// SPDX-License-Identifier: MIT
/**
 * Processes that are not this one's children (pidfd_open(2)): a descriptor stands for the process, whatever
 * becomes of its number, and how it has ended is kept with it (PIDFD_GET_INFO of linux/pidfd.h, Linux 6.15).
 */
import { exitCodeOf } from './children.js';
import { raw, result } from './libc.js';
import { waitReadable } from './poll.js';
import { statOf } from './proc.js';

const SYS_PIDFD_OPEN = 434;
/** _IOWR(PIDFS_IOCTL_MAGIC, 11, struct pidfd_info) for the first version of the structure. */
const PIDFD_GET_INFO = 0xc040ff0b;
const SIZEOF_INFO = 64;
const PIDFD_INFO_EXIT = 8;
const INFO_EXIT_CODE = 60;

/** A descriptor of a process, or a negated errno. */
export function openProcess(pid: number): number {
  return result(raw.syscall3(SYS_PIDFD_OPEN, pid, 0, 0));
}

/** A signal that comes meanwhile makes poll(2) fail, also where it need not wait (do_poll). */
export function hasEnded(process: number): boolean {
  return waitReadable(process, 0) > 0;
}

/**
 * How a process has ended, 128 and the signal where one ended it. Undefined where nobody knows any more: its
 * parent has waited for it, and the kernel keeps nothing.
 */
export function exitOf(process: number, pid: number): number | undefined {
  return exitOfWaited(process) ?? exitOfUnwaited(pid);
}

function exitOfWaited(process: number): number | undefined {
  const info = Buffer.alloc(SIZEOF_INFO);
  info.writeUInt32LE(PIDFD_INFO_EXIT, 0);
  const status = result(raw.ioctl(process, PIDFD_GET_INFO, info));
  const isKnown = status >= 0 && (info.readUInt32LE(0) & PIDFD_INFO_EXIT) !== 0;
  return isKnown ? exitCodeOf(info.readInt32LE(INFO_EXIT_CODE)) : undefined;
}

/** One whose parent does not wait for it is still in /proc. */
function exitOfUnwaited(pid: number): number | undefined {
  const stat = statOf(pid);
  return stat?.state === 'Z' ? exitCodeOf(stat.exitStatus) : undefined;
}
