// SPDX-License-Identifier: MIT
/** Requests about names: lookup, forget, create, link, remove, rename. */
import { EINVAL, ENAMETOOLONG, ENOENT } from '../base/errno.js';
import { deviceNumber } from '../sys/entries.js';
import { S_IFDIR } from '../sys/stat.js';
import { ENTRY_OUT, InitFlag, OPEN_OUT } from './abi.js';
import type { Requester } from './file-system.js';
import type { Message } from './message.js';
import { decodeDevice, type EntryOut, type Reply } from './reply.js';
import type { ServeContext } from './serve-context.js';

const PERMISSIONS = 0o7777;

export function lookup(context: ServeContext, message: Message, reply: Reply, entry: EntryOut): number {
  const name = message.name(0);
  if (name === undefined) return lookupKnown(context, message, reply, entry);
  const status = context.fileSystem.lookup(message.nodeId, name, entry);
  if (status === -ENOENT) return reply.negativeEntry();
  return status < 0 ? status : reply.entry(0, entry);
}

/** With EXPORT_SUPPORT `.` and `..` are looked up for a file handle (fuse_get_dentry, fuse_get_parent). */
function lookupKnown(
  { fileSystem, agreement }: ServeContext,
  message: Message,
  reply: Reply,
  entry: EntryOut,
): number {
  const which = message.text(0);
  if (!agreement!.has(InitFlag.EXPORT_SUPPORT) || (which !== '.' && which !== '..')) return -EINVAL;
  const status = fileSystem.lookupKnown(message.nodeId, which, entry);
  return status < 0 ? status : reply.entry(0, entry);
}

export function forget({ fileSystem }: ServeContext, message: Message): void {
  fileSystem.forget(message.nodeId, message.u64(0));
}

/** fuse_batch_forget_in: u32 count, u32 dummy; each: u64 nodeid, u64 nlookup */
export function forgetMany({ fileSystem }: ServeContext, message: Message): void {
  const count = Math.min(message.u32(0), Math.floor((message.bodyLength - 8) / 16));
  for (let index = 0; index < count; index++) {
    const at = 8 + index * 16;
    fileSystem.forget(message.u64(at), message.u64(at + 8));
  }
}

export function readLink({ fileSystem }: ServeContext, message: Message, reply: Reply): number {
  const target = fileSystem.readLink(message.nodeId);
  return typeof target === 'number' ? target : reply.put(0, Buffer.from(target, 'latin1'));
}

function requester(context: ServeContext, umask: number): Requester {
  const by = context.requester;
  by.umask = umask & PERMISSIONS;
  return by;
}

/** fuse_mknod_in: u32 mode, rdev, umask, padding; then the name */
export function makeNode(context: ServeContext, message: Message, reply: Reply, entry: EntryOut): number {
  const name = message.name(16);
  if (name === undefined) return -EINVAL;
  const { major, minor } = decodeDevice(message.u32(4));
  const device = deviceNumber(major, minor);
  const by = requester(context, message.u32(8));
  const status = context.fileSystem.create(message.nodeId, name, message.u32(0) & 0xffff, device, by, entry);
  return status < 0 ? status : reply.entry(0, entry);
}

/** fuse_mkdir_in: u32 mode, umask; then the name */
export function makeDirectory(
  context: ServeContext,
  message: Message,
  reply: Reply,
  entry: EntryOut,
): number {
  const name = message.name(8);
  if (name === undefined) return -EINVAL;
  const mode = S_IFDIR | (message.u32(0) & PERMISSIONS);
  const by = requester(context, message.u32(4));
  const status = context.fileSystem.create(message.nodeId, name, mode, 0, by, entry);
  return status < 0 ? status : reply.entry(0, entry);
}

/** The name, then the target. */
export function symlink(context: ServeContext, message: Message, reply: Reply, entry: EntryOut): number {
  const name = message.name(0);
  if (name === undefined) return -EINVAL;
  const target = message.text(name.length + 1);
  if (target === undefined || target === '') return -EINVAL;
  const by = requester(context, 0);
  const status = context.fileSystem.symlink(message.nodeId, name, target, by, entry);
  return status < 0 ? status : reply.entry(0, entry);
}

/** fuse_create_in: u32 flags, mode, umask, open_flags. Answers the entry and fuse_open_out with handle 0. */
export function createUnnamed(
  context: ServeContext,
  message: Message,
  reply: Reply,
  entry: EntryOut,
): number {
  const by = requester(context, message.u32(8));
  const status = context.fileSystem.createUnnamed(message.nodeId, message.u32(4) & 0xffff, by, entry);
  if (status < 0) return status;
  reply.entry(0, entry);
  reply.zero(ENTRY_OUT, OPEN_OUT);
  return ENTRY_OUT + OPEN_OUT;
}

/** fuse_link_in: u64 oldnodeid; then the name */
export function link({ fileSystem }: ServeContext, message: Message, reply: Reply, entry: EntryOut): number {
  const name = message.name(8);
  if (name === undefined) return -EINVAL;
  const status = fileSystem.link(message.u64(0), message.nodeId, name, entry);
  return status < 0 ? status : reply.entry(0, entry);
}

export function unlink({ fileSystem }: ServeContext, message: Message): number {
  const name = message.name(0);
  return name === undefined ? -EINVAL : fileSystem.unlink(message.nodeId, name);
}

export function removeDirectory({ fileSystem }: ServeContext, message: Message): number {
  const name = message.name(0);
  return name === undefined ? -EINVAL : fileSystem.removeDirectory(message.nodeId, name);
}

/** fuse_rename_in: u64 newdir; then old name, new name */
export function rename(context: ServeContext, message: Message): number {
  return renameNames(context, message, 8, 0);
}

/** fuse_rename2_in: u64 newdir, u32 flags, padding; then old name, new name */
export function rename2(context: ServeContext, message: Message): number {
  return renameNames(context, message, 16, message.u32(8));
}

function renameNames({ fileSystem }: ServeContext, message: Message, at: number, flags: number): number {
  const fromName = message.name(at);
  if (fromName === undefined) return -EINVAL;
  const toName = message.name(at + fromName.length + 1);
  if (toName === undefined) return -EINVAL;
  if (toName.length > 255) return -ENAMETOOLONG;
  return fileSystem.rename({ from: message.nodeId, fromName, to: message.u64(0), toName, flags });
}
