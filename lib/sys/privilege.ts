// SPDX-License-Identifier: MIT
/** What this process may do, as far as it decides how a mount is made. */
import { hasCapability, isInIdMap, readProcess } from './proc.js';

const CAP_DAC_OVERRIDE = 1;
const CAP_SYS_ADMIN = 21;

/** Whether mount(2) may be tried: the capability counts in a user namespace of one's own too. */
export function mayMount(): boolean {
  return hasCapability('self', CAP_SYS_ADMIN);
}

/** Whether modes of files do not bind this process (capabilities(7)). */
export function overridesModes(): boolean {
  return hasCapability('self', CAP_DAC_OVERRIDE);
}

/** Whether a group is one of this user namespace (user_namespaces(7), gid_map). */
export function hasGroup(gid: number): boolean {
  return isInIdMap(readProcess('self', 'gid_map'), 'inner', gid);
}

/** Whether `trusted.*` attributes can be read and set: only root of the first user namespace may (xattr(7)). */
export function hasTrustedAttributes(): boolean {
  const isFirst = /^\s*0\s+0\s+4294967295\s*$/.test(readProcess('self', 'uid_map'));
  return isFirst && hasCapability('self', CAP_SYS_ADMIN);
}
