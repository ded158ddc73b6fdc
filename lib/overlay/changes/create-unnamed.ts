// SPDX-License-Identifier: MIT
/** Files without a name (O_TMPFILE): they lie in the work directory until they get one or are forgotten. */
import { EISDIR, ENOENT, EROFS, type Errno } from '../../base/errno.js';
import { Rollback } from '../../base/rollback.js';
import { rename } from '../../sys/entries.js';
import { S_IFMT, S_IFREG } from '../../sys/stat.js';
import { copyUp } from '../copy-up/copy-up.js';
import type { Creator } from '../copy-up/credentials.js';
import { statUpper } from '../copy-up/ownership.js';
import { unmeasured } from '../nodes/measured.js';
import type { DirectoryNode, FileNode } from '../nodes/node.js';
import { gone, type Union } from '../nodes/union.js';
import { type Creation, makeOwned } from './create.js';
import { inheritingDirectory } from './inherit.js';

/** Makes one; answers its node without a reference, or a negated errno. `measured` says what was read of it. */
export function createUnnamed(
  union: Union,
  parent: DirectoryNode,
  mode: number,
  creator: Creator,
  measured = unmeasured,
): FileNode | Errno {
  if (!union.writable) return -EROFS;
  if (parent.dead) return -ENOENT;
  if ((mode & S_IFMT) !== S_IFREG) return -EISDIR;
  const copied = copyUp(union, parent);
  if (copied < 0) return copied;
  const work = union.work!;
  using undo = new Rollback();
  const inheriting = inheritingDirectory(union, parent, undo);
  if (inheriting.fd < 0) return inheriting.fd;
  const name = work.temporaryName();
  const creation: Creation = { mode, device: 0, target: '', creator };
  const made = makeOwned(union, parent, inheriting.fd, name, creation);
  if (made < 0) return made;
  if (inheriting.fd !== work.fd) {
    const moved = rename(inheriting.fd, name, work.fd, name);
    if (moved < 0) return moved;
  }
  const { stat } = measured;
  const status = statUpper(union, work.fd, name, stat);
  if (status < 0) return gone(status);
  const node = union.nodes.addFile(stat.type, { kind: 'orphan', name });
  measured.file = node;
  union.numbers.numberBy(node, stat);
  undo.commit();
  const removed = inheriting.remove();
  return removed < 0 ? removed : node;
}
