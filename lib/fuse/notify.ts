// SPDX-License-Identifier: MIT
/**
 * Notifications: messages to the kernel that answer no request (unique 0, the
 * code in the error field).
 */
import { ENOENT, type Errno } from '../base/errno.js';
import { write } from '../sys/files.js';

const NOTIFY_INVAL_INODE = 2;
const NOTIFY_RESEND = 7;

function send(fd: number, code: number, body: Buffer): Errno {
  const message = Buffer.alloc(16 + body.length);
  message.writeUInt32LE(message.length, 0);
  message.writeInt32LE(code, 4);
  body.copy(message, 16);
  const status = write(fd, message, message.length);
  // The kernel does not know the node any more: nothing there to be told about.
  return status >= 0 || status === -ENOENT ? 0 : status;
}

/** Drops cached attributes, and cached data from `offset` on (`size` 0: all of it; `offset` < 0: none). */
export function invalidateNode(fd: number, node: number, offset: number, size: number): Errno {
  const body = Buffer.alloc(24);
  body.writeBigUInt64LE(BigInt(node), 0);
  body.writeBigInt64LE(BigInt(offset), 8);
  body.writeBigInt64LE(BigInt(size), 16);
  return send(fd, NOTIFY_INVAL_INODE, body);
}

/** Asks for everything that was read and not answered once more (7.40, Linux 6.9). */
export function resendPending(fd: number): Errno {
  return send(fd, NOTIFY_RESEND, Buffer.alloc(0));
}
