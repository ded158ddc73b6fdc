// SPDX-License-Identifier: MIT
/** `tsoverlay unmount` */
import type { Argv, CommandModule } from 'yargs';
import { EBUSY } from '../../base/errno.js';
import { check, OverlayError } from '../../base/errors.js';
import { unmountFuse } from '../../fuse/mount.js';
import { askMount } from '../../mount/control.js';
import {
  findRecord,
  hasProcess,
  isAlive,
  type MountRecordFile,
  removeServerFiles,
} from '../../mount/registry.js';
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
  const isServed = record !== undefined && (isAlive(record.serverPid) || isKept(record));
  if (!isServed) {
    unmountOrphan(path, target, detach);
    if (record !== undefined) removeServerFiles(record.serverPid);
    return;
  }
  const answer = await askMount(record, { command: 'unmount', detach }, 0);
  if ('error' in answer) throw busyOr(path, answer.error, answer.code);
}

/** Another server will be there in a moment. */
function isKept({ keeperPid }: MountRecordFile): boolean {
  return keeperPid !== null && hasProcess(keeperPid);
}

/** The server is gone or was never entered in the list; the kernel's part is still there. */
function unmountOrphan(path: string, target: string, detach: boolean): void {
  const status = unmountFuse(target, detach);
  if (status === -EBUSY) throw busyOr(path, '', 'EBUSY');
  check(status, { operation: 'unmount', path });
}

function busyOr(path: string, message: string, code: string | undefined): OverlayError {
  const busy = code === 'EBUSY';
  return new OverlayError({
    operation: 'unmount',
    path,
    reason: busy ? 'programs are using it' : message,
    remedy: busy ? 'end them (see `fuser -m`), or give --detach' : undefined,
  });
}

export const unmountCommand: CommandModule<unknown, Arguments> = {
  command: 'unmount <target>',
  aliases: ['umount'],
  describe: 'Write everything out and unmount',
  builder: builder as never,
  handler,
};
