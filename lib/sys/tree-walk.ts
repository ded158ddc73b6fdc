// SPDX-License-Identifier: MIT
/**
 * Walking a tree by descriptors, one open directory at a time: trees that programs in
 * containers make may be deeper than any path is long and than descriptors reach. Nobody
 * else may move directories of the tree meanwhile, as the way up is `..`.
 */
import type { ByteString } from '../base/bytes.js';
import { ENOENT, ENOTDIR } from '../base/errno.js';
import { DT_UNKNOWN, listDirectory, removeDirectory, unlink } from './entries.js';
import { close, O_DIRECTORY, O_RDONLY, openAt } from './files.js';
import { Stat, statAt } from './stat.js';

const DT_DIR = 4;

export interface TreeVisitor {
  /** What is no directory. Answers >= 0, or a negated errno that ends the walk. */
  file(dir: number, name: ByteString): number;
  /** A directory after all that it holds. */
  directory(dir: number, name: ByteString): number;
}

/** Names of an open directory, its directories apart; or a negated errno. */
function namesIn(fd: number): { files: ByteString[]; directories: ByteString[] } | number {
  const found = { files: [] as ByteString[], directories: [] as ByteString[] };
  const unsure: ByteString[] = [];
  const status = listDirectory(fd, (name, type) => {
    const list = type === DT_DIR ? found.directories : type === DT_UNKNOWN ? unsure : found.files;
    return list.push(name) > 0;
  });
  if (status < 0) return status;
  const stat = new Stat();
  for (const name of unsure) {
    const present = statAt(fd, name, stat);
    if (present < 0) return present;
    (stat.isDirectory ? found.directories : found.files).push(name);
  }
  return found;
}

/** Visits all below a directory and then the directory itself. Answers 0 or the first negated errno. */
export function visitTree(dir: number, name: ByteString, visitor: TreeVisitor): number {
  /** On the way down: the directory's own name, and those in it that are still to be visited. */
  const way: { name: ByteString; pending: ByteString[] }[] = [];
  let at = openAt(dir, '.', O_RDONLY | O_DIRECTORY);
  if (at < 0) return at;
  const move = (to: number): number => {
    if (to < 0) return to;
    close(at);
    at = to;
    return 0;
  };
  const enter = (child: ByteString): number => {
    const status = move(openAt(at, child, O_RDONLY | O_DIRECTORY));
    if (status < 0) return status;
    const names = namesIn(at);
    if (typeof names === 'number') return names;
    way.push({ name: child, pending: names.directories });
    for (const file of names.files) {
      const visited = visitor.file(at, file);
      if (visited < 0) return visited;
    }
    return 0;
  };
  const leave = (): number => {
    const status = move(openAt(at, '..', O_RDONLY | O_DIRECTORY));
    return status < 0 ? status : visitor.directory(at, way.pop()!.name);
  };
  let status = enter(name);
  while (status >= 0 && way.length > 0) {
    const next = way[way.length - 1].pending.pop();
    status = next === undefined ? leave() : enter(next);
  }
  close(at);
  return Math.min(status, 0);
}

/** Removes whatever has the name, with all below it; what is not there is no error. Answers 0 or a negated errno. */
export function removeTree(dir: number, name: ByteString): number {
  const status = visitTree(dir, name, { file: unlink, directory: removeDirectory });
  if (status === -ENOTDIR) return unlink(dir, name);
  return status === -ENOENT ? 0 : status;
}
