// SPDX-License-Identifier: MIT
/** What this process may do, as far as it decides how a mount is made. */
import { readFileSync } from 'node:fs';

const CAP_DAC_OVERRIDE = 1n;
const CAP_SYS_ADMIN = 21n;

function hasCapability(capability: bigint): boolean {
  const line = /^CapEff:\s*([0-9a-f]+)/m.exec(readFileSync('/proc/self/status', 'latin1'));
  return line !== null && ((BigInt(`0x${line[1]}`) >> capability) & 1n) === 1n;
}

/** Whether mount(2) may be tried: the capability counts in a user namespace of one's own too. */
export function mayMount(): boolean {
  return hasCapability(CAP_SYS_ADMIN);
}

/** Whether modes of files do not bind this process (capabilities(7)). */
export function overridesModes(): boolean {
  return hasCapability(CAP_DAC_OVERRIDE);
}

/** Whether a group is one of this user namespace (user_namespaces(7), gid_map). */
export function hasGroup(gid: number): boolean {
  const lines = readFileSync('/proc/self/gid_map', 'latin1').trim().split('\n');
  return lines.some((line) => {
    const [first, , count] = line.trim().split(/\s+/).map(Number);
    return gid >= first && gid < first + count;
  });
}

/** Whether `trusted.*` attributes can be read and set: only root of the first user namespace may (xattr(7)). */
export function hasTrustedAttributes(): boolean {
  const isFirst = /^\s*0\s+0\s+4294967295\s*$/.test(readFileSync('/proc/self/uid_map', 'latin1'));
  return isFirst && hasCapability(CAP_SYS_ADMIN);
}
