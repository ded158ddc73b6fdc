// SPDX-License-Identifier: MIT
/**
 * Every mount option that overlayfs, fuse-overlayfs or libfuse knows, one row an
 * option: honoured, taken without effect because it only concerns how those
 * programs do their work, or refused by name with the reason (overlayfs.rst;
 * fuse-overlayfs(1); mount.fuse3(8)).
 */
import { UsageError } from '../base/errors.js';
import type { RedirectMode, Whiteouts } from '../overlay/layers/features.js';
import { parseIdMapping, squashTo } from '../overlay/layers/id-mapping.js';
import {
  MS_NOATIME,
  MS_NODEV,
  MS_NODIRATIME,
  MS_NOEXEC,
  MS_NOSUID,
  MS_RELATIME,
  MS_STRICTATIME,
  MS_SYNCHRONOUS,
} from '../sys/mounts.js';
import type { MountOptions } from './mount.js';
import { splitLayers, unescapePath } from './option-paths.js';

/** Collects what the options say; paths are as given. */
export type ParsedOptions = { -readonly [Key in keyof MountOptions]: MountOptions[Key] } & {
  lowers: string[];
  dataLowers: string[];
  flags: number;
};

export interface Rule {
  /** Whether a value must be there, may be there, may not, or must be one of these. */
  value: 'required' | 'possible' | 'none' | readonly string[];
  apply(options: ParsedOptions, value: string): void;
  /** Why the option cannot be given; with a list, which of its values cannot. */
  refused?: string;
  refusedValues?: readonly string[];
}

type Field = keyof MountOptions;

const set = (flag: number): Rule => ({ value: 'none', apply: (options) => void (options.flags |= flag) });
const clear = (flag: number): Rule => ({ value: 'none', apply: (options) => void (options.flags &= ~flag) });
const turnOn = (...fields: Field[]): Rule => ({
  value: 'none',
  apply: (options) => {
    for (const field of fields) Object.assign(options, { [field]: true });
  },
});
const text = (field: Field): Rule => ({
  value: 'required',
  apply: (options, value) => void Object.assign(options, { [field]: value }),
});
const onOff = (field: Field, on = 'on', off = 'off'): Rule => ({
  value: [on, off],
  apply: (options, value) => void Object.assign(options, { [field]: value === on }),
});
const noEffect: Rule = { value: 'possible', apply: () => undefined };
const refuse = (reason: string): Rule => ({ value: 'possible', apply: () => undefined, refused: reason });
const only = (value: string | string[], refusedValues: string[], refused: string): Rule => ({
  value: [value, refusedValues].flat(),
  apply: () => undefined,
  refused,
  refusedValues,
});

/** Seconds, with a fraction if need be; what is longer than the kernel counts means for ever. */
function parseSeconds(name: string, value: string): number {
  if (!/^\d+(\.\d+)?$/.test(value)) throw new UsageError(`${name}=${value} is not possible`, 'write seconds');
  return Number(value);
}

const seconds = (name: string, field: Field): Rule => ({
  value: 'required',
  apply: (options, value) => void Object.assign(options, { [field]: parseSeconds(name, value) }),
});

const layers: Record<string, Rule> = {
  lowerdir: {
    value: 'required',
    apply: (options, value) => {
      const { lowers, dataLowers } = splitLayers(value);
      options.lowers.push(...lowers);
      options.dataLowers.push(...dataLowers);
    },
  },
  'lowerdir+': { value: 'required', apply: (options, value) => void options.lowers.push(value) },
  'datadir+': { value: 'required', apply: (options, value) => void options.dataLowers.push(value) },
  upperdir: { value: 'required', apply: (options, value) => void (options.upper = unescapePath(value)) },
  workdir: { value: 'required', apply: (options, value) => void (options.work = unescapePath(value)) },
};

const format: Record<string, Rule> = {
  redirect_dir: {
    value: ['on', 'follow', 'nofollow', 'off'] satisfies RedirectMode[],
    apply: (options, value) => void (options.redirectDir = value as RedirectMode),
  },
  index: onOff('index'),
  metacopy: onOff('metacopy'),
  copyup: {
    value: ['whole', 'lazy'],
    apply: (options, value) => void (options.copyUp = value as 'whole' | 'lazy'),
  },
  whiteout: {
    value: ['both', 'overlay', 'aufs'] satisfies Whiteouts[],
    apply: (options, value) => void (options.whiteout = value as Whiteouts),
  },
  userxattr: turnOn('userxattr'),
  // Inode numbers always carry their file system, which is what xino asks for; `off` may not mix up two layers.
  xino: { value: ['on', 'off', 'auto'], apply: () => undefined },
  uuid: only(['null', 'off', 'auto'], ['on'], 'the file system has no uuid of its own'),
  verity: only('off', ['on', 'require'], 'digests of fs-verity are not checked'),
  nfs_export: onOff('nfsExport'),
  override_creds: noEffect,
  nooverride_creds: refuse('layers are always read with the rights of who mounted them'),
  xattr_permissions: {
    value: ['0', '1', '2'],
    apply: (options, value) => void (options.xattrPermissions = Number(value) as 0 | 1 | 2),
  },
};

const identity: Record<string, Rule> = {
  uidmapping: {
    value: 'required',
    apply: (options, value) => void (options.uidMapping = parseIdMapping('uidmapping', value)),
  },
  gidmapping: {
    value: 'required',
    apply: (options, value) => void (options.gidMapping = parseIdMapping('gidmapping', value)),
  },
  squash_to_uid: {
    value: 'required',
    apply: (options, value) => void (options.squashUid = squashTo('squash_to_uid', value)),
  },
  squash_to_gid: {
    value: 'required',
    apply: (options, value) => void (options.squashGid = squashTo('squash_to_gid', value)),
  },
  squash_to_root: {
    value: 'none',
    apply: (options) => {
      options.squashUid = 0;
      options.squashGid = 0;
    },
  },
  static_nlink: turnOn('staticLinkCount'),
  ino32_t: refuse('inode numbers of 32 bits would not be unique'),
};

const behaviour: Record<string, Rule> = {
  volatile: turnOn('volatile'),
  fsync: {
    value: ['0', '1', 'ordered', 'strict', 'volatile'],
    apply: (options, value) => {
      if (value === 'volatile') options.volatile = true;
      else options.sync = value !== '0';
    },
  },
  timeout: seconds('timeout', 'timeout'),
  hang_timeout: seconds('hang_timeout', 'hangTimeout'),
  writeback: onOff('writeback', '1', '0'),
  noacl: turnOn('noAcl'),
  noxattrs: {
    value: 'possible',
    apply: (options, value) => {
      options.noXattrs = value !== '0';
    },
  },
  context: text('context'),
  fscontext: refuse('only context= can be given'),
  defcontext: refuse('only context= can be given'),
  rootcontext: refuse('only context= can be given'),
  plugins: refuse('there are no plugins'),
  threaded: noEffect,
  fast_ino: noEffect,
};

const fuse: Record<string, Rule> = {
  fsname: text('source'),
  subtype: text('subtype'),
  allow_other: turnOn('allowOther'),
  allow_root: refuse('give allow_other, or nothing for the mounting user alone'),
  default_permissions: noEffect,
  max_write: noEffect,
  max_read: refuse('reads are as large as the kernel makes them'),
  blkdev: refuse('the mount has no block device'),
  kernel_cache: noEffect,
  auto_cache: noEffect,
  clone_fd: noEffect,
  max_threads: noEffect,
  max_idle_threads: noEffect,
  splice_write: noEffect,
  splice_read: noEffect,
  splice_move: noEffect,
  auto_unmount: noEffect,
};

const flags: Record<string, Rule> = {
  ro: { value: 'none', apply: (options) => void (options.readOnly = true) },
  rw: { value: 'none', apply: (options) => void (options.readOnly = false) },
  nosuid: set(MS_NOSUID),
  suid: clear(MS_NOSUID),
  nodev: set(MS_NODEV),
  dev: clear(MS_NODEV),
  noexec: set(MS_NOEXEC),
  exec: clear(MS_NOEXEC),
  noatime: set(MS_NOATIME),
  atime: clear(MS_NOATIME),
  nodiratime: set(MS_NODIRATIME),
  diratime: clear(MS_NODIRATIME),
  relatime: set(MS_RELATIME),
  norelatime: clear(MS_RELATIME),
  strictatime: set(MS_STRICTATIME),
  nostrictatime: clear(MS_STRICTATIME),
  sync: set(MS_SYNCHRONOUS),
  async: clear(MS_SYNCHRONOUS),
};

/** What mount(8) and systemd write into a line of fstab for themselves. */
const forOthers: Record<string, Rule> = Object.fromEntries(
  [
    'defaults',
    'auto',
    'noauto',
    'nofail',
    '_netdev',
    'user',
    'nouser',
    'users',
    'owner',
    'group',
    'comment',
  ].map((name) => [name, noEffect]),
);

export const rules: Readonly<Record<string, Rule>> = {
  ...layers,
  ...format,
  ...identity,
  ...behaviour,
  ...fuse,
  ...flags,
  ...forOthers,
};
