// SPDX-License-Identifier: MIT
/**
 * This thread's identity. Linux keeps it per thread, so that the
 * serving worker can create files as the requesting user while the rest of the
 * process stays what it is. All answer >= 0 or a negated errno.
 */
import { raw, result } from './libc.js';

const CLONE_FS = 0x200;
const PR_SET_SECUREBITS = 28;
const SECBIT_NO_SETUID_FIXUP = 4;

/**
 * Lets setFileUser change the file user without losing capabilities
 * (capabilities(7), SECBIT_NO_SETUID_FIXUP); -EPERM without CAP_SETPCAP.
 */
export function keepCapabilities(): number {
  return result(raw.prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP, 0, 0, 0));
}

const SYS_GETTID = process.arch === 'arm64' ? 178 : 186;

/** The number of this thread in /proc/self/task. */
export function threadId(): number {
  return result(raw.syscall3(SYS_GETTID, 0, 0, 0));
}

/** Gives this thread a umask of its own; without it the umask is the whole process's. */
export function unshareUmask(): number {
  return result(raw.unshare(CLONE_FS));
}

/** Owner and group that new files get (setfsuid(2), setfsgid(2)). */
export function setFileUser(uid: number, gid: number): void {
  raw.setfsgid(gid);
  raw.setfsuid(uid);
}

/** Whether setFileUser worked: setfsuid(2) reports no error but answers the value in force. */
export function fileUserIs(uid: number, gid: number): boolean {
  return raw.setfsuid(0xffffffff) === uid && raw.setfsgid(0xffffffff) === gid;
}

export function setUmask(mask: number): number {
  return raw.umask(mask);
}
