// SPDX-License-Identifier: MIT
/** `tsoverlay unmount` */
import type { Argv, CommandModule } from 'yargs';
import { EBUSY } from '../../base/errno.js';
import { check, OverlayError } from '../../base/errors.js';
import { unmountFuse } from '../../fuse/mount.js';
import { askMount } from '../../mount/control.js';
import { findRecord, serverOf, shimOf } from '../../mount/records.js';
import { removeServerFiles } from '../../supervise/server-files.js';
import { isAlive } from '../../sys/proc.js';
import { isMounted, realTarget } from './targets.js';

interface Arguments {
  target: string;
  detach: boolean;
}

function builder(yargs: Argv): Argv<Arguments> {
  return yargs
    .positional('target', { type: 'string', demandOption: true, describe: 'Where it is mounted' })
    .option('detach', {
      alias: 'l',
      type: 'boolean',
      default: false,
      describe: 'Take it from the tree at once, though programs use it; it ends when they do',
    })
    .example('$0 unmount /mnt', 'Write everything out and unmount');
}

async function handler({ target: path, detach }: Arguments): Promise<void> {
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

export const unmountCommand: CommandModule<unknown, Arguments> = {
  command: 'unmount <target>',
  aliases: ['umount'],
  describe: 'Write everything out and unmount',
  builder: builder as never,
  handler,
};
