// SPDX-License-Identifier: MIT
/** The lower object that an upper one was copied up from, by its mark. */
import type { ByteString } from '../../base/bytes.js';
import { close, O_NOFOLLOW, O_PATH } from '../../sys/files.js';
import { openHandle, openReadable } from '../../sys/handles.js';
import { Stat, statAt, statFd } from '../../sys/stat.js';
import { getXattr } from '../../sys/xattrs.js';
import { decodeOrigin } from '../formats/origin.js';
import type { DirectoryNode } from '../nodes/node.js';
import type { Union } from '../nodes/union.js';

/**
 * Finds the lower object that an upper one came from and reads it into `out`.
 * Where handles cannot be opened (no privilege) or say nothing, the lower object
 * of the same name is taken, if its type agrees. Answers whether there is one.
 */
export function readOrigin(union: Union, parent: DirectoryNode, name: ByteString, out: Stat): boolean {
  const dir = union.directories.of(parent.upper!);
  const mark = getXattr(dir, name, union.marks.origin);
  if (typeof mark === 'number') return false;
  return openOrigin(union, mark, out) || sameName(union, parent, name, dir, out);
}

/** The same by the mark alone. */
export function openOrigin(union: Union, mark: Buffer, out: Stat): boolean {
  const origin = decodeOrigin(mark);
  if (origin === null) return false;
  const { uuid, handle } = origin;
  const tried = new Set<number>();
  for (const layer of union.lowers) {
    if (tried.has(layer.fileSystem) || !layer.uuid.equals(uuid)) continue;
    if (union.watch.current.ask(layer.index) < 0) continue;
    tried.add(layer.fileSystem);
    const mountFd = openReadable(layer.fd);
    if (mountFd < 0) continue;
    const fd = openHandle(mountFd, handle, O_PATH | O_NOFOLLOW);
    close(mountFd);
    if (fd < 0) continue;
    const status = statFd(fd, out);
    close(fd);
    if (status === 0) return true;
  }
  return false;
}

function sameName(union: Union, parent: DirectoryNode, name: ByteString, dir: number, out: Stat): boolean {
  const upper = new Stat();
  if (statAt(dir, name, upper) < 0) return false;
  for (const lower of parent.lowers) {
    if (statAt(union.directories.of(lower), name, out) === 0) return out.type === upper.type;
  }
  return false;
}
