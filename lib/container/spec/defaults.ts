// SPDX-License-Identifier: MIT
/** What a container gets when nothing else is said: Docker's defaults (moby's oci/defaults.go and oci/caps). */

export const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** What is held unless it is added or dropped. */
export const CAPABILITIES: readonly string[] = [
  'CAP_CHOWN',
  'CAP_DAC_OVERRIDE',
  'CAP_FSETID',
  'CAP_FOWNER',
  'CAP_MKNOD',
  'CAP_NET_RAW',
  'CAP_SETGID',
  'CAP_SETUID',
  'CAP_SETFCAP',
  'CAP_SETPCAP',
  'CAP_NET_BIND_SERVICE',
  'CAP_SYS_CHROOT',
  'CAP_KILL',
  'CAP_AUDIT_WRITE',
];

export interface SpecMount {
  destination: string;
  type: string;
  source: string;
  options: string[];
}

/** A mount as the runtime-spec has it. */
export const specMount = (destination: string, type: string, options: string, source = type): SpecMount => ({
  destination,
  type,
  source,
  options: options.split(','),
});

export const MOUNTS: readonly SpecMount[] = [
  specMount('/proc', 'proc', 'nosuid,noexec,nodev'),
  specMount('/dev', 'tmpfs', 'nosuid,strictatime,mode=755,size=65536k'),
  specMount('/dev/pts', 'devpts', 'nosuid,noexec,newinstance,ptmxmode=0666,mode=0620,gid=5'),
  specMount('/dev/shm', 'tmpfs', 'nosuid,noexec,nodev,mode=1777,size=65536k', 'shm'),
  specMount('/dev/mqueue', 'mqueue', 'nosuid,noexec,nodev'),
  specMount('/sys', 'sysfs', 'nosuid,noexec,nodev,ro'),
];

/** What would show the host, or more of it than a container needs. */
export const MASKED_PATHS: readonly string[] = [
  '/proc/asound',
  '/proc/acpi',
  '/proc/interrupts',
  '/proc/kcore',
  '/proc/keys',
  '/proc/latency_stats',
  '/proc/timer_list',
  '/proc/timer_stats',
  '/proc/sched_debug',
  '/proc/scsi',
  '/sys/firmware',
  '/sys/devices/virtual/powercap',
];

export const READ_ONLY_PATHS: readonly string[] = [
  '/proc/bus',
  '/proc/fs',
  '/proc/irq',
  '/proc/sys',
  '/proc/sysrq-trigger',
];

const device = (allow: boolean, type: string, major?: number, minor?: number, access = 'rwm') => ({
  allow,
  ...(type === '' ? {} : { type }),
  ...(major === undefined ? {} : { major }),
  ...(minor === undefined ? {} : { minor }),
  access,
});

/** Bound from the host into /dev, which is a tmpfs. */
export const DEVICES: readonly string[] = ['null', 'zero', 'full', 'random', 'urandom', 'tty'];

/** What programs expect beside them. */
export const DEVICE_LINKS: readonly [name: string, target: string][] = [
  ['fd', '/proc/self/fd'],
  ['stdin', '/proc/self/fd/0'],
  ['stdout', '/proc/self/fd/1'],
  ['stderr', '/proc/self/fd/2'],
  ['core', '/proc/kcore'],
  ['ptmx', 'pts/ptmx'],
];

/** Nothing, but making device files, and null, zero, full, random, urandom, tty, console, and terminals. */
export const DEVICE_RULES = [
  device(false, ''),
  device(true, 'c', undefined, undefined, 'm'),
  device(true, 'b', undefined, undefined, 'm'),
  device(true, 'c', 1, 3),
  device(true, 'c', 1, 5),
  device(true, 'c', 1, 7),
  device(true, 'c', 1, 8),
  device(true, 'c', 1, 9),
  device(true, 'c', 5, 0),
  device(true, 'c', 5, 1),
  device(true, 'c', 5, 2),
  device(true, 'c', 136),
];
