// SPDX-License-Identifier: MIT
/**
 * What another process may do: its groups and capabilities, as /proc shows them. They are asked for while
 * it waits in a system call, so that it cannot change them meanwhile. A process that cannot be seen has none:
 * for one outside the server's PID namespace the kernel sends 0 (fuse_get_req in fs/fuse/dev.c), and nothing else
 * tells who it is. So it is judged by owner and group alone, which at worst refuses, or clears setuid, where the
 * kernel's overlayfs, which asks the process itself, would not.
 */
import { hasCapability, isInIdMap, linkOfProcess, readProcess, statusField } from './proc.js';

export const CAP_FOWNER = 3;
export const CAP_FSETID = 4;
export const CAP_LINUX_IMMUTABLE = 9;
export const CAP_SYS_ADMIN = 21;

/** The process that made a request: its ids for files (setfsuid(2)), and its thread, 0 for one outside this PID namespace. */
export interface Caller {
  uid: number;
  gid: number;
  pid: number;
}

/** The first user namespace always has this number (PROC_USER_INIT_INO); a map of all ids is no proof. */
const FIRST_NAMESPACE = 'user:[4026531837]';

function isEffective(pid: number, capability: number): boolean {
  return pid !== 0 && hasCapability(pid, capability);
}

/** Whether an id of ours exists in the caller's user namespace. */
function isMapped(pid: number, file: 'uid_map' | 'gid_map', id: number): boolean {
  const map = pid === 0 ? '' : readProcess(pid, file);
  return map !== '' && (map === readProcess('self', file) || isInIdMap(map, 'outer', id));
}

/** in_group_p */
export function isInGroup({ gid, pid }: Caller, group: number): boolean {
  if (gid === group) return true;
  return pid !== 0 && (statusField(pid, 'Groups') ?? '').split(/\s+/).includes(String(group));
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
  return pid !== 0 && linkOfProcess(pid, 'ns/user') === FIRST_NAMESPACE;
}

/** Whether the caller has a capability in the first user namespace (capable). */
export function isCapable(by: Caller, capability: number): boolean {
  return isEffective(by.pid, capability) && isInFirstNamespace(by);
}
