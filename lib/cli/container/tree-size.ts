// SPDX-License-Identifier: MIT
/** What a writable layer takes. */
import { fromText } from '../../base/bytes.js';
import { check } from '../../base/errors.js';
import { Fd, O_DIRECTORY, O_RDONLY, openPath } from '../../sys/files.js';
import { Stat, statAt } from '../../sys/stat.js';
import { visitTree } from '../../sys/tree-walk.js';

/** Bytes of the files below a directory; one with several names counts once. */
export function treeSize(path: string): number {
  const story = { operation: 'measure', path };
  using top = new Fd(check(openPath(fromText(path), O_RDONLY | O_DIRECTORY), story));
  const seen = new Set<string>();
  const stat = new Stat();
  let size = 0;
  const status = visitTree(top.number, '.', {
    file(dir, name) {
      // A running container may have removed it.
      if (statAt(dir, name, stat) < 0 || !stat.isRegular) return 0;
      const key = `${stat.fileSystem}:${stat.inode}`;
      if (stat.linkCount > 1 && seen.has(key)) return 0;
      seen.add(key);
      size += stat.size;
      return 0;
    },
    directory: () => 0,
  });
  check(status, story);
  return size;
}
