// SPDX-License-Identifier: MIT
/**
 * Whether this process may read, write or execute what has these attributes (generic_permission in
 * fs/namei.c). The engine's files are opened for both where they can be, so an open for writing is
 * judged here; access control lists are not looked at.
 */
import type { Stat } from '../sys/stat.js';

const EXECUTE = 1;

/** `wanted`: bits as of access(2), R_OK | W_OK | X_OK. */
export function permits(stat: Stat, wanted: number): boolean {
  const uid = process.geteuid!();
  if (uid === 0) return (wanted & EXECUTE) === 0 || stat.isDirectory || (stat.mode & 0o111) !== 0;
  const isMember = stat.gid === process.getegid!() || process.getgroups!().includes(stat.gid);
  const shift = uid === stat.uid ? 6 : isMember ? 3 : 0;
  return ((stat.mode >> shift) & wanted) === wanted;
}
