// SPDX-License-Identifier: MIT
/** What a writable layer takes. */
import { lstatSync, readdirSync } from 'node:fs';

/** Bytes of the files below a directory; one with several names counts once. */
export function treeSize(path: string): number {
  const seen = new Set<string>();
  let size = 0;
  for (const entry of readdirSync(path, {
    recursive: true,
    withFileTypes: true,
    encoding: 'buffer',
  } as never)) {
    const { name, parentPath } = entry as unknown as { name: Buffer; parentPath: Buffer | string };
    const full = Buffer.concat([Buffer.from(parentPath as string), Buffer.from('/'), name]);
    const stat = lstatSync(full, { throwIfNoEntry: false });
    if (stat === undefined || !stat.isFile() || seen.has(`${stat.dev}:${stat.ino}`)) continue;
    if (stat.nlink > 1) seen.add(`${stat.dev}:${stat.ino}`);
    size += stat.size;
  }
  return size;
}
