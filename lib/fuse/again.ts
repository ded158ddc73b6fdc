// SPDX-License-Identifier: MIT
/**
 * The request that was in hand when a server ended. It lies where it was read to, so the
 * next server needs nobody to send it again: what was done is answered as it was done, what
 * can be done twice is, and if it had its answer already the kernel says so to a second one.
 */
import { ENOENT, type Errno } from '../base/errno.js';
import { write } from '../sys/files.js';
import { ENTRY_OUT, OPEN_OUT, Opcode } from './abi.js';
import { rows } from './requests.js';
import type { Session } from './session.js';

/** Requests that were done for good: the answer is what they made. */
const MAKING = new Set<number>([Opcode.MKNOD, Opcode.MKDIR, Opcode.SYMLINK, Opcode.LINK, Opcode.TMPFILE]);
/** Requests that were done for good: the answer is whether they worked. */
const CHANGING = new Set<number>([
  Opcode.UNLINK,
  Opcode.RMDIR,
  Opcode.RENAME,
  Opcode.RENAME2,
  Opcode.SETXATTR,
  Opcode.REMOVEXATTR,
]);

/** Bytes of the message that lies in the buffer; 0 for none. */
export function pendingLength({ message }: Session): number {
  const length = message.view.getUint32(0, true);
  return length <= message.buffer.length && message.begin(length) ? length : 0;
}

/** The kernel wants no reply to the message at hand. */
export function isSilent({ message }: Session): boolean {
  return rows[message.opcode]?.silent === true;
}

/** Composes the answer to a request that was done with `status`. Answers its length, or 0 where it has to be served again. */
export function composeAnswer(session: Session, status: Errno, node: number): number {
  const { opcode } = session.message;
  if (status < 0 && (MAKING.has(opcode) || CHANGING.has(opcode))) return session.finish(status);
  if (CHANGING.has(opcode)) return session.finish(0);
  if (!MAKING.has(opcode)) return 0;
  const { entry, reply } = session;
  const found = session.fileSystem.revisit!(node, entry);
  if (found < 0) return session.finish(found);
  reply.entry(0, entry);
  if (opcode !== Opcode.TMPFILE) return session.finish(ENTRY_OUT);
  reply.zero(ENTRY_OUT, OPEN_OUT);
  return session.finish(ENTRY_OUT + OPEN_OUT);
}

/** Sends a reply. Answers whether the request was still waiting for it, or a negated errno. */
export function sendAgain(fd: number, session: Session, size: number): boolean | Errno {
  const status = write(fd, session.reply.buffer, size);
  if (status >= 0) return true;
  return status === -ENOENT ? false : status;
}
