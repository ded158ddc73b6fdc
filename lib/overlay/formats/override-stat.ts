// SPDX-License-Identifier: MIT
/**
 * Owner, mode and type of files that somebody without privilege unpacked: an
 * attribute says `UID:GID:OCTAL-MODE[:TYPE]`, where TYPE is dir, file, symlink,
 * pipe, socket, block-MAJOR-MINOR or char-MAJOR-MINOR (fuse-overlayfs, main.c and
 * direct.c; containers/storage, pkg/idtools). A layer is kept that way if its root
 * has one of the attributes. In a lower layer they are read, and a copy-up turns
 * them into what they say; an upper is kept so with xattr_permissions, or if it was.
 */
import type { ByteString } from '../../base/bytes.js';
import {
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFIFO,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
  S_IFSOCK,
  type Stat,
} from '../../sys/stat.js';
import { getXattr } from '../../sys/xattrs.js';

/** In the order in which fuse-overlayfs looks for them. */
const NAMES: readonly ByteString[] = [
  'security.fuseoverlayfs.override_stat',
  'user.containers.override_stat',
  'user.fuseoverlayfs.override_stat',
];

const TYPES = new Map([
  ['dir', S_IFDIR],
  ['file', S_IFREG],
  ['symlink', S_IFLNK],
  ['pipe', S_IFIFO],
  ['socket', S_IFSOCK],
  ['block', S_IFBLK],
  ['char', S_IFCHR],
]);

/** The attribute by which a layer is kept, or null for one whose files are what they are. */
export function overrideOf(root: number): ByteString | null {
  return NAMES.find((name) => typeof getXattr(root, '.', name) !== 'number') ?? null;
}

/** The attribute that `xattr_permissions` asks for; null for 0. */
export function overrideFor(xattrPermissions: 0 | 1 | 2): ByteString | null {
  return xattrPermissions === 0 ? null : NAMES[xattrPermissions - 1];
}

/** What an attribute says. */
export interface Stated {
  uid: number;
  gid: number;
  /** With the file type. */
  mode: number;
  deviceMajor: number;
  deviceMinor: number;
}

export function encodeOverride({ uid, gid, mode, deviceMajor, deviceMinor }: Stated): Buffer {
  const type = mode & S_IFMT;
  const name = [...TYPES].find(([, number]) => number === type)![0];
  const device = type === S_IFBLK || type === S_IFCHR ? `-${deviceMajor}-${deviceMinor}` : '';
  return Buffer.from(`${uid}:${gid}:${(mode & 0o7777).toString(8).padStart(4, '0')}:${name}${device}`);
}

/** Whether an attribute is such a one, which is not shown and not copied up. */
export function isOverride(name: ByteString): boolean {
  return NAMES.includes(name);
}

/** Puts what the attribute of a file says into its `stat`; an attribute that says nothing is left alone. */
export function applyOverride(attribute: ByteString, dir: number, name: ByteString, stat: Stat): void {
  const value = getXattr(dir, name, attribute);
  if (typeof value === 'number') return;
  const parsed = /^(\d+):(\d+):([0-7]{1,6})(?::([a-z]+)(?:-(\d+)-(\d+))?)?\0?$/.exec(value.latin1Slice());
  if (parsed === null) return;
  const [, uid, gid, mode, type, major, minor] = parsed;
  const stated = type === undefined ? stat.type : TYPES.get(type);
  if (stated === undefined) return;
  stat.uid = Number(uid);
  stat.gid = Number(gid);
  stat.mode = stated | (Number.parseInt(mode, 8) & 0o7777);
  if (major === undefined) return;
  stat.deviceMajor = Number(major);
  stat.deviceMinor = Number(minor);
}
