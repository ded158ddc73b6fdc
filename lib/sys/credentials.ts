// SPDX-License-Identifier: MIT
/** A process's identity and capabilities, for one that is about to become another program. All answer >= 0 or a negated errno. */
import { raw, result } from './libc.js';
import { capabilitiesOf, readProcess } from './proc.js';

/** By number (linux/capability.h). */
export const CAPABILITY_NAMES: readonly string[] = `
  CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE
  NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN
  SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE
  MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE`
  .trim()
  .split(/\s+/)
  .map((name) => `CAP_${name}`);

const PR_SET_KEEPCAPS = 8;
const PR_CAPBSET_DROP = 24;
const PR_SET_NO_NEW_PRIVS = 38;
const PR_CAP_AMBIENT = 47;
const PR_CAP_AMBIENT_RAISE = 2;
const VERSION_3 = 0x20080522;

/** Those that this process can give to others at all (capabilities(7), bounding set). */
export function availableCapabilities(): string[] {
  const mask = capabilitiesOf('self', 'CapBnd');
  return CAPABILITY_NAMES.filter((_, number) => ((mask >> BigInt(number)) & 1n) === 1n);
}

/** Bits of capabilities, as capset(2) takes them. */
export function capabilityMask(names: readonly string[]): bigint {
  return names.reduce((mask, name) => mask | (1n << BigInt(CAPABILITY_NAMES.indexOf(name))), 0n);
}

/** Gives up for ever what is not in the mask (capabilities(7), bounding set). */
export function limitBoundingSet(mask: bigint): number {
  for (let number = 0; number < 64; number++) {
    if (((mask >> BigInt(number)) & 1n) === 1n) continue;
    const status = result(raw.prctl(PR_CAPBSET_DROP, number, 0, 0, 0));
    // EINVAL: the kernel has no capability of that number, nor of a higher one.
    if (status === -22) return 0;
    if (status < 0) return status;
  }
  return 0;
}

export interface CapabilitySets {
  effective: bigint;
  permitted: bigint;
  inheritable: bigint;
}

export function setCapabilities({ effective, permitted, inheritable }: CapabilitySets): number {
  const header = Buffer.alloc(8);
  header.writeUInt32LE(VERSION_3, 0);
  const data = Buffer.alloc(24);
  [effective, permitted, inheritable].forEach((mask, index) => {
    data.writeUInt32LE(Number(mask & 0xffffffffn), index * 4);
    data.writeUInt32LE(Number(mask >> 32n), 12 + index * 4);
  });
  return result(raw.capset(header, data));
}

/** Makes a capability outlive execve(2) of an ordinary program for a user who is not root. */
export function raiseAmbient(names: readonly string[]): number {
  for (const name of names) {
    const number = CAPABILITY_NAMES.indexOf(name);
    const status = result(raw.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, number, 0, 0));
    if (status < 0) return status;
  }
  return 0;
}

export function forbidNewPrivileges(): number {
  return result(raw.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
}

/** Becomes a user, for good; what capabilities there are stay until setCapabilities is called. */
export function becomeUser(uid: number, gid: number, additionalGids: readonly number[]): number {
  const groups = Buffer.alloc(4 * additionalGids.length);
  for (const [index, id] of additionalGids.entries()) groups.writeUInt32LE(id, 4 * index);
  let status = result(raw.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0));
  if (status >= 0 && maySetGroups()) status = result(raw.setgroups(additionalGids.length, groups));
  if (status >= 0) status = result(raw.setresgid(gid, gid, gid));
  if (status >= 0) status = result(raw.setresuid(uid, uid, uid));
  return status;
}

/** A user namespace without ranges of ids leaves everybody's groups as they are (user_namespaces(7)). */
function maySetGroups(): boolean {
  return readProcess('self', 'setgroups').trim() !== 'deny';
}

const SYS_KEYCTL = process.arch === 'arm64' ? 219 : 250;
const KEYCTL_JOIN_SESSION_KEYRING = 1;

/** Joins a new session keyring, so that the starter's keys are left behind (keyctl(2)). */
export function newSessionKeyring(): number {
  return result(raw.syscall3(SYS_KEYCTL, KEYCTL_JOIN_SESSION_KEYRING, 0, 0));
}
