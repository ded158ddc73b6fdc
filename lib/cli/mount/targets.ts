// SPDX-License-Identifier: MIT
/** From what a person types to a mount: its record, and paths beneath it. */
import { realpathSync } from 'node:fs';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { fromText } from '../../base/bytes.js';
import { OverlayError } from '../../base/errors.js';
import { type MountRecordFile, readRecords } from '../../mount/records.js';
import { listMounts } from '../../sys/mounts.js';

/** The real path of a target; one whose server has died cannot be entered, only its parent. */
export function realTarget(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    const absolute = resolve(path);
    try {
      return join(realpathSync(dirname(absolute)), basename(absolute));
    } catch {
      return absolute;
    }
  }
}

/** Whether a mount of ours is at the target, with or without a live server. */
export function isMounted(target: string): boolean {
  return listMounts().some((mount) => mount.target === fromText(target) && mount.type.startsWith('fuse'));
}

export interface Located {
  record: MountRecordFile;
  /** Beneath the mount; '/' is the mount itself. */
  inside: string;
}

/** The mount that a path lies in. The last component is not followed: it may be a symlink to be explained. */
export function locate(path: string): Located {
  const absolute = resolve(path);
  const candidates = [
    absolute,
    join(realTarget(dirname(absolute)), basename(absolute)),
    realTarget(absolute),
  ];
  const records = readRecords();
  for (const candidate of candidates) {
    const record = records.findLast(
      ({ target }) => candidate === target || candidate.startsWith(`${target === '/' ? '' : target}/`),
    );
    if (record !== undefined) return { record, inside: `/${relative(record.target, candidate)}` };
  }
  throw new OverlayError({
    operation: 'find the mount of',
    path,
    reason: 'it lies in no tsoverlay mount',
    remedy: 'see `tsoverlay mounts` for what is mounted',
  });
}
