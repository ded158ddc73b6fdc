// SPDX-License-Identifier: MIT
/**
 * What another process may do: its groups and capabilities, as /proc shows them. They are asked for while
 * it waits in a system call, so that it cannot change them meanwhile. A process that cannot be seen has none.
 */
import { readFileSync, readlinkSync } from 'node:fs';

export const CAP_FOWNER = 3;
export const CAP_FSETID = 4;
export const CAP_LINUX_IMMUTABLE = 9;
export const CAP_SYS_ADMIN = 21;

/** Who asks: ids for files (setfsuid(2)), and the thread, 0 for one outside this PID namespace. */
export interface Caller {
  uid: number;
  gid: number;
  pid: number;
}

/** The first user namespace always has this number (PROC_USER_INIT_INO); a map of all ids is no proof. */
const FIRST_NAMESPACE = 'user:[4026531837]';

function read(pid: number | 'self', file: string): string {
  return pid === 0 ? '' : ofProcess(() => readFileSync(`/proc/${pid}/${file}`, 'latin1'));
}

/** What `see` gives; '' for a process that cannot be seen. */
function ofProcess(see: () => string): string {
  try {
    return see();
  } catch (failure) {
    const { code } = failure as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ESRCH' || code === 'EACCES' || code === 'EPERM') return '';
    throw failure;
  }
}

function isEffective(pid: number, capability: number): boolean {
  const line = /^CapEff:\s*([0-9a-f]+)/m.exec(read(pid, 'status'));
  return line !== null && ((BigInt(`0x${line[1]}`) >> BigInt(capability)) & 1n) === 1n;
}

/** Whether an id of ours exists in the caller's user namespace (user_namespaces(7), uid_map). */
function isMapped(pid: number, file: 'uid_map' | 'gid_map', id: number): boolean {
  const map = read(pid, file);
  if (map !== '' && map === read('self', file)) return true;
  return map.split('\n').some((line) => {
    const [, first, count] = line.trim().split(/\s+/).map(Number);
    return id >= first && id < first + count;
  });
}

/** in_group_p */
export function isInGroup({ gid, pid }: Caller, group: number): boolean {
  if (gid === group) return true;
  const line = /^Groups:(.*)$/m.exec(read(pid, 'status'));
  return line?.[1].trim().split(/\s+/).includes(String(group)) === true;
}

/** Whether the caller has a capability over a file of these ids (capable_wrt_inode_uidgid). */
export function isCapableOver({ pid }: Caller, capability: number, uid: number, gid: number): boolean {
  return isEffective(pid, capability) && isMapped(pid, 'uid_map', uid) && isMapped(pid, 'gid_map', gid);
}

/** Whether a file of this owner is the caller's, or as good as theirs (inode_owner_or_capable). */
export function isOwnerOrCapable({ uid, pid }: Caller, owner: number): boolean {
  return uid === owner || (isEffective(pid, CAP_FOWNER) && isMapped(pid, 'uid_map', owner));
}

export function isInFirstNamespace({ pid }: Caller): boolean {
  return pid !== 0 && ofProcess(() => readlinkSync(`/proc/${pid}/ns/user`)) === FIRST_NAMESPACE;
}

/** Whether the caller has a capability in the first user namespace (capable). */
export function isCapable(by: Caller, capability: number): boolean {
  return isEffective(by.pid, capability) && isInFirstNamespace(by);
}
