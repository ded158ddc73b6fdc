// SPDX-License-Identifier: MIT
/**
 * The configuration of a container as OCI runtimes take it (runtime-spec, config.md,
 * version 1.0.2). Our own runner takes the same, so that there is one description
 * of a container and three that start it.
 */
import { OverlayError } from '../../base/errors.js';
import type { RunConfig } from '../../image/model/image-config.js';
import { hasGroup, hasTrustedAttributes } from '../../sys/privilege.js';
import type { SeccompProfile } from '../../sys/seccomp.js';
import type { Account } from './accounts.js';
import {
  CAPABILITIES,
  DEFAULT_PATH,
  DEVICE_RULES,
  MASKED_PATHS,
  MOUNTS,
  READ_ONLY_PATHS,
  type SpecMount,
  specMount,
} from './defaults.js';
import { seccompProfile } from './seccomp-profile.js';

export interface SpecLimit {
  /** `RLIMIT_NOFILE` */
  type: string;
  soft: number;
  hard: number;
}

export interface SpecProcess {
  terminal: boolean;
  user: { uid: number; gid: number; additionalGids: number[]; umask?: number };
  args: string[];
  env: string[];
  cwd: string;
  capabilities: Record<'bounding' | 'effective' | 'permitted' | 'inheritable' | 'ambient', readonly string[]>;
  rlimits: SpecLimit[];
  noNewPrivileges: boolean;
}

export interface SpecNamespace {
  type: 'pid' | 'network' | 'ipc' | 'uts' | 'mount' | 'cgroup' | 'user';
  /** One that is there, to be entered; without it a new one. */
  path?: string;
}

export interface SpecResources {
  devices?: object[];
  /** Bytes. */
  memory?: { limit: number; swap?: number };
  /** `quota` of every `period` microseconds. */
  cpu?: { quota: number; period: number };
  pids?: { limit: number };
}

export interface RuntimeSpec {
  ociVersion: string;
  process: SpecProcess;
  root: { path: string; readonly: boolean };
  hostname: string;
  mounts: readonly SpecMount[];
  linux: {
    cgroupsPath?: string;
    resources: SpecResources;
    namespaces: SpecNamespace[];
    maskedPaths: readonly string[];
    readonlyPaths: readonly string[];
    rootfsPropagation: 'rprivate';
    seccomp?: SeccompProfile;
  };
}

export interface SpecOptions {
  /** What the image says of how it is started. */
  image: RunConfig;
  account: Account;
  hostname: string;
  /** In the place of the image's command; its entry point stays. */
  command?: readonly string[] | undefined;
  /** In the place of the image's entry point; then the image's command does not count either. */
  entrypoint?: readonly string[] | undefined;
  /** `KEY=VALUE`; later ones win. A bare `KEY` takes the image's away. */
  env?: readonly string[] | undefined;
  cwd?: string | undefined;
  terminal?: boolean | undefined;
  readOnly?: boolean | undefined;
  /** A new one, the host's, or one that is there, by its path; default a new one. */
  network?: 'new' | 'host' | { path: string } | undefined;
  /** Beside the usual ones, and in the place of those with the same destination. */
  mounts?: readonly SpecMount[] | undefined;
  /** Bytes of /dev/shm; default 64 MiB. */
  sharedMemory?: number | undefined;
  /** Default Docker's set. */
  capabilities?: readonly string[] | undefined;
  noNewPrivileges?: boolean | undefined;
  /** Nothing is masked, filtered or read-only. */
  privileged?: boolean | undefined;
  /** No filter of system calls. */
  unfiltered?: boolean | undefined;
  limits?: SpecLimit[] | undefined;
  resources?: SpecResources | undefined;
  cgroupsPath?: string | undefined;
}

/** What is run, as Docker puts it together. Throws an OverlayError where there is nothing to run. */
export function commandLine({
  image,
  command,
  entrypoint,
}: Pick<SpecOptions, 'image' | 'command' | 'entrypoint'>): string[] {
  const first = entrypoint ?? image.Entrypoint ?? [];
  const rest = command ?? (entrypoint === undefined ? (image.Cmd ?? []) : []);
  const args = [...first, ...rest];
  if (args.length > 0) return args;
  throw new OverlayError({
    operation: 'start',
    reason: 'the image names no command',
    remedy: 'give one after the name of the image',
  });
}

function environment({ image, account, hostname, env = [], terminal }: SpecOptions): string[] {
  const values = new Map<string, string>([
    ['PATH', DEFAULT_PATH],
    ['HOSTNAME', hostname],
    ...(terminal === true ? ([['TERM', 'xterm']] as const) : []),
    ['HOME', account.home],
  ]);
  for (const item of [...(image.Env ?? []), ...env]) {
    const equals = item.indexOf('=');
    if (equals > 0) values.set(item.slice(0, equals), item.slice(equals + 1));
    else values.delete(item);
  }
  return [...values].map(([key, value]) => `${key}=${value}`);
}

function capabilitySets(capabilities: readonly string[], uid: number): SpecProcess['capabilities'] {
  // Only root starts with capabilities; a user's programs get them by file capabilities within the bounding set.
  const held = uid === 0 ? capabilities : [];
  return { bounding: capabilities, effective: held, permitted: held, inheritable: [], ambient: [] };
}

/** `tty` of every distribution. */
const TERMINAL_GROUP = 5;

/** The usual mounts and those asked for; one for the same place takes the place of the usual one. */
function mountsFor({ mounts = [], privileged, sharedMemory, network }: SpecOptions): SpecMount[] {
  const asked = new Set(mounts.map(({ destination }) => destination));
  const usual = MOUNTS.filter(({ destination }) => !asked.has(destination)).map((mount) => {
    if (mount.destination === '/dev/pts' && !hasGroup(TERMINAL_GROUP))
      return { ...mount, options: mount.options.filter((option) => !option.startsWith('gid=')) };
    // A sysfs belongs to a network; that of another user can be shown, but not mounted.
    if (mount.destination === '/sys' && network === 'host' && !hasTrustedAttributes())
      return specMount('/sys', 'bind', 'rbind,rprivate,nosuid,noexec,nodev,ro', '/sys');
    if (privileged === true && mount.destination === '/dev')
      return { ...mount, type: 'bind', source: '/dev', options: ['rbind', 'rprivate', 'nosuid'] };
    if (privileged === true) return { ...mount, options: mount.options.filter((option) => option !== 'ro') };
    if (mount.destination !== '/dev/shm' || sharedMemory === undefined) return mount;
    return {
      ...mount,
      options: mount.options.map((option) => (option.startsWith('size=') ? `size=${sharedMemory}` : option)),
    };
  });
  // A mount hides those below it that were there before.
  const depth = ({ destination }: SpecMount): number => destination.split('/').filter(Boolean).length;
  return [...usual, ...[...mounts].sort((a, b) => depth(a) - depth(b))];
}

function namespaces({ network = 'new' }: SpecOptions): SpecNamespace[] {
  const own = (['pid', 'ipc', 'uts', 'mount'] as const).map((type) => ({ type }));
  if (network === 'host') return own;
  return [...own, network === 'new' ? { type: 'network' } : { type: 'network', path: network.path }];
}

/** config.json as an object; `rootfs` is a path beside it, or an absolute one. */
export function runtimeSpec(options: SpecOptions, rootfs: string): RuntimeSpec {
  const { account, image, hostname, cwd, terminal = false, readOnly = false, privileged = false } = options;
  const { capabilities = CAPABILITIES, unfiltered = false, noNewPrivileges = false } = options;
  const { uid, gid, additionalGids } = account;
  return {
    ociVersion: '1.0.2',
    process: {
      terminal,
      user: { uid, gid, additionalGids: [gid, ...additionalGids], umask: 0o022 },
      args: commandLine(options),
      env: environment(options),
      cwd: cwd ?? (image.WorkingDir || '/'),
      capabilities: capabilitySets(capabilities, uid),
      rlimits: options.limits ?? [],
      noNewPrivileges,
    },
    root: { path: rootfs, readonly: readOnly },
    hostname,
    mounts: mountsFor(options),
    linux: {
      ...(options.cgroupsPath === undefined ? {} : { cgroupsPath: options.cgroupsPath }),
      resources: {
        devices: privileged ? [{ allow: true, access: 'rwm' }] : DEVICE_RULES,
        ...options.resources,
      },
      namespaces: namespaces(options),
      maskedPaths: privileged ? [] : MASKED_PATHS,
      readonlyPaths: privileged ? [] : READ_ONLY_PATHS,
      rootfsPropagation: 'rprivate',
      ...(privileged || unfiltered ? {} : { seccomp: seccompProfile(capabilities) }),
    },
  };
}
