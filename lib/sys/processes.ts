// SPDX-License-Identifier: MIT
/**
 * Processes that are not this one's children (pidfd_open(2)): a descriptor stands for the process, whatever
 * becomes of its number, and how it has ended is kept with it (PIDFD_GET_INFO of linux/pidfd.h, Linux 6.15).
 */
import { readFileSync } from 'node:fs';
import { exitCodeOf } from './children.js';
import { raw, result } from './libc.js';
import { waitReadable } from './poll.js';

const SYS_PIDFD_OPEN = 434;
/** _IOWR(PIDFS_IOCTL_MAGIC, 11, struct pidfd_info) for the first version of the structure. */
const PIDFD_GET_INFO = 0xc040ff0b;
const SIZEOF_INFO = 64;
const PIDFD_INFO_EXIT = 8;
const INFO_EXIT_CODE = 60;
/** Fields of proc_pid_stat(5), counted from the third. */
const STAT_START = 19;
const STAT_EXIT_CODE = 49;

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
  const fields = statOf(pid);
  return fields[0] === 'Z' ? exitCodeOf(Number(fields[STAT_EXIT_CODE])) : undefined;
}

/** When a process was started, in clock ticks since the machine was: what tells it from another with its number. 0 where there is none. */
export function startOf(pid: number): number {
  return Number(statOf(pid)[STAT_START] ?? 0);
}

/** Of proc_pid_stat(5), from the third field on; empty where there is no such process. */
function statOf(pid: number): string[] {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  } catch (failure) {
    const { code } = failure as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ESRCH') return [];
    throw failure;
  }
}
