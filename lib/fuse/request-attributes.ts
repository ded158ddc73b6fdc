// SPDX-License-Identifier: MIT
/** Requests about attributes: stat, chmod and its kin, extended attributes, inode flags, statfs. */
import { EFBIG, EINVAL, ENOTTY, ERANGE } from '../base/errno.js';
import { InitFlag, SETXATTR_ACL_KILL_SGID, SetAttr } from './abi.js';
import type { AttributeRequest } from './file-system.js';
import type { Message } from './message.js';
import type { EntryOut, Reply } from './reply.js';
import type { ServeContext } from './serve-context.js';

export function getAttributes(
  { fileSystem }: ServeContext,
  message: Message,
  reply: Reply,
  { stat }: EntryOut,
): number {
  const status = fileSystem.getAttributes(message.nodeId, stat);
  return status < 0 ? status : reply.attributesOut(stat);
}

export function statx(
  { fileSystem }: ServeContext,
  message: Message,
  reply: Reply,
  { stat }: EntryOut,
): number {
  const status = fileSystem.getAttributes(message.nodeId, stat);
  return status < 0 ? status : reply.statx(stat);
}

/**
 * fuse_setattr_in: u32 valid, padding, u64 fh, size, lock_owner, atime, mtime, ctime,
 * u32 atimensec, mtimensec, ctimensec, mode, unused, uid, gid, unused
 */
export function setAttributes(
  context: ServeContext,
  message: Message,
  reply: Reply,
  { stat }: EntryOut,
): number {
  const { fileSystem } = context;
  const valid = message.u32(0);
  const size = valid & SetAttr.SIZE ? message.u64(16) : undefined;
  if (size !== undefined && !Number.isSafeInteger(size)) return -EFBIG;
  const request: AttributeRequest = {
    mode: valid & SetAttr.MODE ? message.u32(68) : undefined,
    uid: valid & SetAttr.UID ? message.u32(76) : undefined,
    gid: valid & SetAttr.GID ? message.u32(80) : undefined,
    size,
    access: timeOf(message, valid, SetAttr.ATIME, SetAttr.ATIME_NOW, 32, 56),
    modify: timeOf(message, valid, SetAttr.MTIME, SetAttr.MTIME_NOW, 40, 60),
    // A chown to nobody and no group comes without any flag, and takes setuid away as every chown does (chown_common).
    killPrivileges: valid === 0 || (valid & SetAttr.KILL_SUIDGID) !== 0,
    by: context.requester,
  };
  const status = fileSystem.setAttributes(message.nodeId, request, stat);
  return status < 0 ? status : reply.attributesOut(stat);
}

function timeOf(
  message: Message,
  valid: number,
  flag: number,
  nowFlag: number,
  secondsAt: number,
  nanosecondsAt: number,
): AttributeRequest['access'] {
  if ((valid & flag) === 0) return undefined;
  if ((valid & nowFlag) !== 0) return 'now';
  return { seconds: message.i64(secondsAt), nanoseconds: message.u32(nanosecondsAt) };
}

export function statFileSystem({ fileSystem }: ServeContext, _message: Message, reply: Reply): number {
  const size = fileSystem.fileSystemSize();
  return typeof size === 'number' ? size : reply.fileSystem(size);
}

/** fuse_getxattr_in: u32 size, padding; then the name. Size 0 asks for the size. */
export function getXattr({ fileSystem }: ServeContext, message: Message, reply: Reply): number {
  const name = message.text(8);
  if (name === undefined || name === '') return -EINVAL;
  const value = fileSystem.getXattr(message.nodeId, name);
  return typeof value === 'number' ? value : sized(message, reply, value);
}

export function listXattrs({ fileSystem, requester }: ServeContext, message: Message, reply: Reply): number {
  const names = fileSystem.listXattrs(message.nodeId, requester);
  if (typeof names === 'number') return names;
  return sized(message, reply, Buffer.from(names.map((name) => `${name}\0`).join(''), 'latin1'));
}

/** Either the value or, when asked with size 0, its size (fuse_getxattr_out: u32 size, padding). */
function sized(message: Message, reply: Reply, value: Buffer): number {
  const room = message.u32(0);
  if (room === 0) {
    reply.u32(0, value.length);
    reply.u32(4, 0);
    return 8;
  }
  return value.length > room ? -ERANGE : reply.put(0, value);
}

/** fuse_setxattr_in: u32 size, u32 flags, with SETXATTR_EXT u32 setxattr_flags, padding; then name and value */
export function setXattr({ fileSystem, agreement }: ServeContext, message: Message): number {
  const extended = agreement!.has(InitFlag.SETXATTR_EXT);
  const at = extended ? 16 : 8;
  const name = message.text(at);
  if (name === undefined || name === '') return -EINVAL;
  const value = message.bytes(at + name.length + 1, message.u32(0));
  if (value === undefined) return -EINVAL;
  const dropSetgid = extended && (message.u32(8) & SETXATTR_ACL_KILL_SGID) !== 0;
  return fileSystem.setXattr(message.nodeId, name, value, message.u32(4), dropSetgid);
}

export function removeXattr({ fileSystem, requester }: ServeContext, message: Message): number {
  const name = message.text(0);
  if (name === undefined || name === '') return -EINVAL;
  return fileSystem.removeXattr(message.nodeId, name, requester);
}

interface FlagsCommand {
  /** Bytes of the value: an int, or struct fsxattr (linux/fs.h). */
  readonly size: number;
  readonly changes: boolean;
}

/** The ioctls that are passed on; the kernel sends others of programs as well. */
const FLAGS_COMMANDS = new Map<number, FlagsCommand>([
  [0x80086601, { size: 4, changes: false }], // FS_IOC_GETFLAGS
  [0x40086602, { size: 4, changes: true }], // FS_IOC_SETFLAGS
  [0x801c581f, { size: 28, changes: false }], // FS_IOC_FSGETXATTR
  [0x401c5820, { size: 28, changes: true }], // FS_IOC_FSSETXATTR
]);

/** fuse_ioctl_in: u64 fh, u32 flags, u32 cmd, u64 arg, u32 in_size, u32 out_size; then the input */
export function control({ fileSystem, requester }: ServeContext, message: Message, reply: Reply): number {
  const number = message.u32(12);
  const command = FLAGS_COMMANDS.get(number);
  if (command === undefined) return -ENOTTY;
  const { size, changes } = command;
  // Read as a long by the number of the older two, written and read as an int.
  const value = Buffer.alloc(Math.max(size, 8));
  if (changes) {
    const given = message.bytes(32, size);
    if (given === undefined) return -EINVAL;
    value.set(given);
  }
  const status = fileSystem.control(message.nodeId, number, value, requester);
  if (status < 0) return status;
  reply.zero(0, 16);
  return changes ? 16 : 16 + reply.put(16, value.subarray(0, Math.min(message.u32(28), size)));
}
