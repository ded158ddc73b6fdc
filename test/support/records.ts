// SPDX-License-Identifier: MIT
/** What a live mount says of itself. */
import type { MountFigures } from '../../lib/mount/config.js';
import { askMount } from '../../lib/mount/control.js';
import { type MountRecordFile, readRecords } from '../../lib/mount/registry.js';

export function recordOf(target: string): MountRecordFile {
  return readRecords().findLast((record) => record.target === target)!;
}

export async function figuresOf(target: string): Promise<MountFigures> {
  const answer = await askMount(recordOf(target), { command: 'figures' });
  if (!('figures' in answer)) throw new Error(JSON.stringify(answer));
  return answer.figures;
}
