// SPDX-License-Identifier: MIT
/** `tsoverlay upgrade`: mounts go on with this version of the program, and nobody who uses them notices. */
import { setTimeout as delay } from 'node:timers/promises';
import { OverlayError, UsageError } from '../../base/errors.js';
import { programVersion } from '../../base/version.js';
import { CONTAINER_MAIN } from '../../container/server/small-process.js';
import { askMount } from '../../mount/control.js';
import { MOUNT_MAIN } from '../../mount/mount-shim.js';
import { findRecord, type MountRecordFile, readRecords, serverOf } from '../../mount/records.js';
import { isAlive } from '../../sys/proc.js';
import type { Arguments } from '../commands/table.js';
import { realTarget } from './targets.js';

const LONGEST_MS = 20_000;
const LOOK_MS = 5;

export async function upgrade({ target, all }: Arguments<'upgrade'>): Promise<void> {
  if ((target === undefined) === !all) {
    throw new UsageError('one mount or all of them?', 'give a target, or --all');
  }
  for (const record of all ? readRecords().filter(hasShim) : [recordOf(target!)]) await upgradeOne(record);
}

function hasShim({ shimPid }: MountRecordFile): boolean {
  return shimPid !== null;
}

function recordOf(path: string): MountRecordFile {
  const story = { operation: 'upgrade', path };
  const record = findRecord(realTarget(path));
  if (record === undefined) {
    throw new OverlayError({
      ...story,
      reason: 'nothing of tsoverlay is mounted there',
      remedy: 'see `tsoverlay mounts`',
    });
  }
  if (hasShim(record)) return record;
  throw new OverlayError({
    ...story,
    reason: 'it has no shim: it is served by the program that mounted it',
    remedy: 'unmount it and mount it again',
  });
}

async function upgradeOne(record: MountRecordFile): Promise<void> {
  const { target } = record;
  const programs = { node: process.execPath, mount: MOUNT_MAIN, container: CONTAINER_MAIN };
  await askMount(record, { command: 'upgrade', programs });
  const { serverPid, version } = await successor(record);
  if (version !== programVersion()) {
    throw new OverlayError({
      operation: 'upgrade',
      path: target,
      reason: `this version cannot go on with it; version ${version} does`,
      remedy: 'unmount it and mount it again',
    });
  }
  process.stdout.write(`${target}: version ${version}, served by process ${serverPid}\n`);
}

/** Settles with the record of the next server. */
async function successor({ target, serverPid }: MountRecordFile): Promise<MountRecordFile> {
  for (const deadline = Date.now() + LONGEST_MS; Date.now() < deadline; await delay(LOOK_MS)) {
    const record = findRecord(target);
    if (record !== undefined && record.serverPid !== serverPid && isAlive(serverOf(record))) return record;
  }
  throw new OverlayError({
    operation: 'upgrade',
    path: target,
    reason: 'no server goes on with it',
    remedy: 'see the logs in the runtime directory',
  });
}
