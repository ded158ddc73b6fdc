// SPDX-License-Identifier: MIT
/** `tsoverlay mounts` */

import { OverlayError } from '../../base/errors.js';
import type { MountFigures } from '../../mount/config.js';
import { askMount } from '../../mount/control.js';
import { findRecord, type MountRecordFile, readRecords } from '../../mount/records.js';
import type { Arguments } from '../commands/table.js';
import { age, bytes, table } from '../words/format.js';

type Listed = MountRecordFile & { figures: MountFigures | null; problem?: string };

export async function mounts({ json }: Arguments<'mounts'>): Promise<void> {
  const listed = await Promise.all(readRecords().map(ask));
  if (json) {
    process.stdout.write(`${JSON.stringify(listed, null, 2)}\n`);
    return;
  }
  const rows = listed.map((mount) => [
    mount.target,
    String(mount.serverPid),
    mount.driver,
    `${mount.lowers.length}${mount.upper === null ? '' : '+1'}`,
    age(mount.since),
    mount.figures === null ? (mount.problem ?? '') : String(mount.figures.requests),
    mount.figures === null ? '' : String(mount.figures.nodes),
    mount.figures === null ? '' : bytes(mount.figures.residentMemory),
  ]);
  const head = ['TARGET', 'SERVER', 'DRIVER', 'LAYERS', 'SINCE', 'REQUESTS', 'NODES', 'MEMORY'];
  process.stdout.write(table([head, ...rows]));
  for (const { target, figures } of listed) {
    for (const layer of figures?.hungLayers ?? []) {
      process.stdout.write(
        `${target}: ${layer} does not answer; what needs it fails with EIO until it does\n`,
      );
    }
  }
}

async function ask(record: MountRecordFile): Promise<Listed> {
  try {
    const figures = await askMount(record, { command: 'figures' });
    // Another server may have answered than the one that was listed.
    const current = findRecord(record.target) ?? record;
    return { ...current, figures };
  } catch (failure) {
    if (!(failure instanceof OverlayError)) throw failure;
    return { ...record, figures: null, problem: 'its server is gone' };
  }
}
