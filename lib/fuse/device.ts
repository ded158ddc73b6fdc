// SPDX-License-Identifier: MIT
/**
 * /dev/fuse: the serving loop. One thread reads a request, serves it and writes
 * the reply; nothing else happens in between.
 *
 * Waking a sleeping thread costs more than serving most requests, so after each
 * request the non-blocking descriptor is asked again for a short while before
 * the thread sleeps in poll(2): a busy mount is answered at once, an idle one
 * uses no CPU (native-notes/fuse-protocol.md has the figures).
 */
import { fuseDebug } from '../base/debug.js';
import {
  EAGAIN,
  EINTR,
  EINVAL,
  EIO,
  ENODEV,
  ENOENT,
  ENOTCONN,
  type Errno,
  errnoName,
} from '../base/errno.js';
import { read, write } from '../sys/files.js';
import { waitReadable } from '../sys/poll.js';
import { invalidateNode } from './notify.js';
import type { Session } from './session.js';

/** Attempts before the thread sleeps; one costs about half a microsecond. */
const SPINS = 200;

/** Why the loop ended: the mount is gone, or the device failed with a negated errno. */
export type LoopEnd = 'unmounted' | Errno;

export interface LoopObserver {
  /** Milliseconds that the thread sleeps at most, -1 without end: a worker can be terminated between two calls alone. */
  longestRest: number;
  /** The kernel has sent INIT and got its answer: the mount can be used. */
  started(): void;
  /** Requests were served and no more are waiting; called before the thread sleeps. */
  rested(): void;
  /** Called again and again while no request is waiting; answers whether there is more to do. */
  workOn(): boolean;
}

/** Serves until the mount goes. `fd` must be non-blocking. What was agreed with the kernel before is gone on with. */
export function serveDevice(fd: number, session: Session, observer: LoopObserver): LoopEnd {
  const { buffer } = session.message;
  session.attributesChanged = (node) => {
    const status = invalidateNode(fd, node, -1, 0);
    if (status < 0) fuseDebug('attributes of node %d stay cached: %s', node, errnoName(status));
  };
  let started = session.agreement !== null;
  if (started) observer.started();
  for (let idle = 0; ; ) {
    const length = read(fd, buffer, buffer.length);
    if (length <= 0) {
      const next = afterFailedRead(fd, length, idle, observer);
      if (next === 'unmounted' || next < 0) return next;
      idle = next;
      continue;
    }
    idle = 0;
    const size = session.serve(length);
    const status = size > 0 ? answer(fd, session.reply.buffer, size) : 0;
    // From here on a server that comes after this one has nothing to answer (again.ts).
    session.message.clear();
    if (status < 0) return status === -ENODEV ? 'unmounted' : status;
    if (started || session.agreement === null) continue;
    started = true;
    observer.started();
  }
}

/** Answers how often to have spun by now, or that the mount is gone, or a negated errno. */
function afterFailedRead(
  fd: number,
  status: number,
  idle: number,
  observer: LoopObserver,
): 'unmounted' | number {
  switch (status) {
    case -EAGAIN: {
      if (idle < SPINS) return idle + 1;
      observer.rested();
      if (observer.workOn()) return idle;
      const waited = waitReadable(fd, observer.longestRest);
      return waited < 0 && waited !== -EINTR ? waited : 0;
    }
    // A request that was interrupted before it was read leaves ENOENT; a signal leaves EINTR.
    case -EINTR:
    case -ENOENT:
      return idle;
    case 0:
    case -ENODEV:
    case -ENOTCONN:
      return 'unmounted';
    default:
      return status;
  }
}

/**
 * Sends a reply. ENOENT says that the request was interrupted and forgotten
 * meanwhile. What the kernel calls malformed is answered EIO instead, so that
 * the requester does not wait for ever.
 */
function answer(fd: number, buffer: Buffer, size: number): Errno {
  const status = write(fd, buffer, size);
  if (status >= 0 || status === -ENOENT || status === -EINTR) return 0;
  if (status !== -EINVAL) return status;
  buffer.writeUInt32LE(16, 0);
  buffer.writeInt32LE(-EIO, 4);
  const retried = write(fd, buffer, 16);
  return retried >= 0 || retried === -ENOENT ? 0 : retried;
}
