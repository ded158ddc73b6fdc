// SPDX-License-Identifier: MIT
/** Requests about file data. Positions beyond 2^53 are refused: no file system reaches them. */
import { EFBIG, EINVAL, ENXIO } from '../base/errno.js';
import { FSYNC_DATA_ONLY, WRITE_KILL_SUIDGID } from './abi.js';
import type { Message } from './message.js';
import type { Reply } from './reply.js';
import type { ServeContext } from './serve-context.js';

const LARGEST_COUNT = 0xffffffff;

/** fuse_read_in: u64 fh, u64 offset, u32 size, ... */
export function read({ fileSystem }: ServeContext, message: Message, reply: Reply): number {
  const offset = message.u64(8);
  if (!Number.isSafeInteger(offset)) return 0;
  const size = Math.min(message.u32(16), reply.capacity);
  return fileSystem.read(message.nodeId, reply.body(size), offset);
}

/** fuse_write_in: u64 fh, u64 offset, u32 size, u32 write_flags, u64 lock_owner, u32 flags, padding; then the data */
export function write(context: ServeContext, message: Message, reply: Reply): number {
  const offset = message.u64(8);
  const data = message.bytes(40, message.u32(16));
  if (data === undefined) return -EINVAL;
  if (!Number.isSafeInteger(offset + data.length)) return -EFBIG;
  const kill = (message.u32(20) & WRITE_KILL_SUIDGID) !== 0;
  const count = context.fileSystem.write(message.nodeId, data, offset, kill ? context.requester : null);
  // With HANDLE_KILLPRIV_V2 the kernel leaves clearing setuid to us and keeps the mode it knows.
  if (kill) context.attributesChanged(message.nodeId);
  return count < 0 ? count : writeOut(reply, count);
}

/** fuse_write_out: u32 size, padding */
function writeOut(reply: Reply, count: number): number {
  reply.u32(0, count);
  reply.u32(4, 0);
  return 8;
}

/** fuse_fallocate_in: u64 fh, u64 offset, u64 length, u32 mode */
export function allocate(context: ServeContext, message: Message): number {
  const offset = message.u64(8);
  const size = message.u64(16);
  if (!Number.isSafeInteger(offset + size)) return -EFBIG;
  const { fileSystem, requester } = context;
  const status = fileSystem.allocate(message.nodeId, message.u32(24), offset, size, requester);
  // It may have cleared setuid, as a write does.
  if (status === 0) context.attributesChanged(message.nodeId);
  return status;
}

/** fuse_lseek_in: u64 fh, u64 offset, u32 whence; out: u64 offset */
export function seek({ fileSystem }: ServeContext, message: Message, reply: Reply): number {
  const offset = message.u64(8);
  if (!Number.isSafeInteger(offset)) return -ENXIO;
  const found = fileSystem.seek(message.nodeId, offset, message.u32(16));
  if (found < 0) return found;
  reply.u64(0, found);
  return 8;
}

/** fuse_copy_file_range_in: u64 fh_in, off_in, nodeid_out, fh_out, off_out, len, flags */
function copyRange(context: ServeContext, message: Message): number {
  const size = Math.min(message.u64(40), LARGEST_COUNT);
  const request = {
    from: message.nodeId,
    fromOffset: message.u64(8),
    to: message.u64(16),
    toOffset: message.u64(32),
    size,
    by: context.requester,
  };
  if (message.u64(48) !== 0) return -EINVAL;
  const safe =
    Number.isSafeInteger(request.fromOffset + size) && Number.isSafeInteger(request.toOffset + size);
  if (!safe) return -EFBIG;
  const count = context.fileSystem.copy(request);
  if (count >= 0) context.attributesChanged(request.to);
  return count;
}

export function copy(context: ServeContext, message: Message, reply: Reply): number {
  const count = copyRange(context, message);
  return count < 0 ? count : writeOut(reply, count);
}

/** fuse_copy_file_range_out: u64 bytes_copied */
export function copy64(context: ServeContext, message: Message, reply: Reply): number {
  const count = copyRange(context, message);
  if (count < 0) return count;
  reply.u64(0, count);
  return 8;
}

/** fuse_fsync_in: u64 fh, u32 fsync_flags */
export function sync({ fileSystem }: ServeContext, message: Message): number {
  return fileSystem.sync(message.nodeId, (message.u32(8) & FSYNC_DATA_ONLY) !== 0);
}

export function syncAll({ fileSystem }: ServeContext): number {
  return fileSystem.syncAll();
}
