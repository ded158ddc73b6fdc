// SPDX-License-Identifier: MIT
/**
 * The request that was in hand when a server ended. It lies where it was read to, so the
 * next server needs nobody to send it again: what was done is answered as it was done, what
 * can be done twice is, and if it had its answer already the kernel says so to a second one.
 */
import { ENOENT, type Errno } from '../base/errno.js';
import { write } from '../sys/files.js';
import { Stat } from '../sys/stat.js';
import { ENTRY_OUT, OPEN_OUT, Opcode } from './abi.js';
import type { EntryOut } from './reply.js';
import { rows } from './requests.js';
import type { Session } from './session.js';

/** Bytes of the message that lies in the buffer; 0 for none. */
export function pendingLength({ message }: Session): number {
  const length = message.view.getUint32(0, true);
  return length <= message.buffer.length && message.begin(length) ? length : 0;
}

/** The kernel wants no reply to the message at hand. */
export function isSilent({ message }: Session): boolean {
  return rows[message.opcode]?.kind === 'tells';
}

/** Composes the answer to a request that was done with `status`. Answers its length, or 0 where it has to be served again. */
export function composeAnswer(session: Session, status: Errno, node: number): number {
  const { opcode } = session.message;
  const kind = rows[opcode]?.kind;
  if (kind !== 'once' && kind !== 'makes') return 0;
  if (status < 0 || kind === 'once') return session.finish(status);
  const { reply } = session;
  const entry: EntryOut = { nodeId: 0, stat: new Stat() };
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
