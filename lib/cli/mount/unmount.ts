// SPDX-License-Identifier: MIT
/** `tsoverlay unmount` */

import { EBUSY } from '../../base/errno.js';
import { check, OverlayError } from '../../base/errors.js';
import { unmountFuse } from '../../fuse/mount.js';
import { askMount } from '../../mount/control.js';
import { findRecord, serverOf, shimOf } from '../../mount/records.js';
import { removeServerFiles } from '../../supervise/server-files.js';
import { isAlive } from '../../sys/proc.js';
import type { Arguments } from '../commands/table.js';
import { isMounted, realTarget } from './targets.js';

export async function unmount({ target: path, detach }: Arguments<'unmount'>): Promise<void> {
  const target = realTarget(path);
  if (!isMounted(target)) {
    throw new OverlayError({
      operation: 'unmount',
      path,
      reason: 'nothing of tsoverlay is mounted there',
      remedy: 'see `tsoverlay mounts`',
    });
  }
  const record = findRecord(target);
  // Where the server is gone and its shim is not, another one will be there in a moment.
  const isServed = record !== undefined && (isAlive(serverOf(record)) || isAlive(shimOf(record)));
  if (!isServed) {
    unmountOrphan(path, target, detach);
    if (record !== undefined) removeServerFiles(record.serverPid);
    return;
  }
  try {
    await askMount(record, { command: 'unmount', detach }, 0);
  } catch (failure) {
    throw failure instanceof OverlayError && failure.code === 'EBUSY' ? busy(path) : failure;
  }
}

/** The server is gone or was never entered in the list; the kernel's part is still there. */
function unmountOrphan(path: string, target: string, detach: boolean): void {
  const status = unmountFuse(target, detach);
  if (status === -EBUSY) throw busy(path);
  check(status, { operation: 'unmount', path });
}

function busy(path: string): OverlayError {
  return new OverlayError({
    operation: 'unmount',
    path,
    errno: EBUSY,
    reason: 'programs are using it',
    remedy: 'end them (see `fuser -m`), or give --detach',
  });
}
