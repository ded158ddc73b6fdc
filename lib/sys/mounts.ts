// SPDX-License-Identifier: MIT
/** Mounting, unmounting, what is mounted, and how full a file system is. */
import { readFileSync } from 'node:fs';
import type { ByteString } from '../base/bytes.js';
import { raw, result } from './libc.js';
import { ownedArgument } from './names.js';

export const MS_RDONLY = 1;
export const MS_NOSUID = 2;
export const MS_NODEV = 4;
export const MS_NOEXEC = 8;
export const MS_SYNCHRONOUS = 16;
export const MS_REMOUNT = 32;
export const MS_NOATIME = 1024;
export const MS_NODIRATIME = 2048;
export const MS_BIND = 4096;
export const MS_RECURSIVE = 16384;
export const MS_UNBINDABLE = 1 << 17;
export const MS_PRIVATE = 1 << 18;
export const MS_SLAVE = 1 << 19;
export const MS_SHARED = 1 << 20;
export const MS_RELATIME = 1 << 21;
export const MS_STRICTATIME = 1 << 24;
export const MNT_FORCE = 1;
export const MNT_DETACH = 2;
export const UMOUNT_NOFOLLOW = 8;

/** mount(2); answers 0 or a negated errno. */
export function mountFileSystem(
  source: ByteString,
  target: ByteString,
  type: string,
  flags: number,
  data: string,
): number {
  return result(
    raw.mount(ownedArgument(source), ownedArgument(target), ownedArgument(type), flags, ownedArgument(data)),
  );
}

export function unmountFileSystem(target: ByteString, flags: number): number {
  return result(raw.umount2(ownedArgument(target), flags));
}

const SYS_PIVOT_ROOT = process.arch === 'arm64' ? 41 : 155;

/** pivot_root(2) onto the working directory, with the old root stacked on it; answers 0 or a negated errno. */
export function pivotRootHere(): number {
  const here = ownedArgument('.');
  return result(raw.syscall2(SYS_PIVOT_ROOT, here, here));
}

export interface FileSystemSize {
  blockSize: number;
  fragmentSize: number;
  blocks: number;
  freeBlocks: number;
  availableBlocks: number;
  files: number;
  freeFiles: number;
  nameLength: number;
}

/** fstatfs(2): sizes in blocks of `fragmentSize` bytes; or a negated errno. */
export function statFileSystem(fd: number): FileSystemSize | number {
  const out = Buffer.alloc(120);
  const status = result(raw.statfs(fd, out));
  if (status < 0) return status;
  const word = (index: number): number => Number(out.readBigUInt64LE(index * 8));
  return {
    blockSize: word(1),
    blocks: word(2),
    freeBlocks: word(3),
    availableBlocks: word(4),
    files: word(5),
    freeFiles: word(6),
    nameLength: word(8),
    fragmentSize: word(9),
  };
}

export const BTRFS_MAGIC = 0x9123683e;
export const FUSE_MAGIC = 0x65735546;

/** What a file system is (statfs(2), f_type); or a negated errno. */
export function fileSystemType(fd: number): number {
  const out = Buffer.alloc(120);
  const status = result(raw.statfs(fd, out));
  return status < 0 ? status : out.readUInt32LE(0);
}

const ST_NOATIME = 1024;
const ST_NODIRATIME = 2048;
const ST_RELATIME = 4096;

/** The MS_* flags of the mount that a descriptor lies in (fstatfs(2), f_flags); or a negated errno. */
export function mountFlagsOf(fd: number): number {
  const out = Buffer.alloc(120);
  const status = result(raw.statfs(fd, out));
  if (status < 0) return status;
  const present = Number(out.readBigUInt64LE(10 * 8));
  const times =
    (present & ST_NOATIME ? MS_NOATIME : 0) |
    (present & ST_NODIRATIME ? MS_NODIRATIME : 0) |
    (present & ST_RELATIME ? MS_RELATIME : 0);
  return (present & (MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC)) | times;
}

export interface MountRecord {
  mountId: number;
  /** major:minor */
  device: string;
  target: ByteString;
  type: string;
  source: string;
  /** Options of the file system itself. */
  options: string;
}

/** The mounts that this process or another sees, oldest first (proc(5), mountinfo); none where that has ended. */
export function listMounts(pid: number | 'self' = 'self'): MountRecord[] {
  return readMounts(pid).split('\n').filter(Boolean).map(parseMount);
}

function readMounts(pid: number | 'self'): string {
  try {
    return readFileSync(`/proc/${pid}/mountinfo`, 'latin1');
  } catch (failure) {
    // EINVAL: it has let go of its namespace and is not yet gone (mounts_open_common).
    const { code } = failure as NodeJS.ErrnoException;
    if (pid !== 'self' && (code === 'ENOENT' || code === 'ESRCH' || code === 'EINVAL')) return '';
    throw failure;
  }
}

function parseMount(line: string): MountRecord {
  const [before, after] = line.split(' - ');
  const fields = before.split(' ');
  const [type, source, options] = after.split(' ');
  return {
    mountId: Number(fields[0]),
    device: fields[2],
    target: unescapeOctal(fields[4]),
    type,
    source: unescapeOctal(source),
    options: unescapeOctal(options ?? ''),
  };
}

/** mountinfo writes space, tab, newline and backslash as three octal digits. */
function unescapeOctal(field: string): string {
  return field.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}
