// SPDX-License-Identifier: MIT
/** What a live mount says of itself. */
import type { MountFigures } from '../../lib/mount/config.js';
import { askMount } from '../../lib/mount/control.js';
import { type MountRecordFile, readRecords } from '../../lib/mount/records.js';

export function recordOf(target: string): MountRecordFile {
  return readRecords().findLast((record) => record.target === target)!;
}

export function figuresOf(target: string): Promise<MountFigures> {
  return askMount(recordOf(target), { command: 'figures' });
}
