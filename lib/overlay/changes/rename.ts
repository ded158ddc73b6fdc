// SPDX-License-Identifier: MIT
/**
 * Rename: the checks, and which of the two kinds it is. A move leaves its old
 * name free (rename-move.ts); an exchange gives each of two objects the other's
 * name (rename-exchange.ts).
 */
import type { ByteString } from '../../base/bytes.js';
import {
  EBUSY,
  EEXIST,
  EINVAL,
  EISDIR,
  ENAMETOOLONG,
  ENOENT,
  ENOTDIR,
  ENOTEMPTY,
  EROFS,
  type Errno,
  EXDEV,
} from '../../base/errno.js';
import { RENAME_EXCHANGE, RENAME_NOREPLACE } from '../../sys/entries.js';
import { NAME_MAX } from '../../sys/names.js';
import { copyUpMetadata } from '../copy-up/copy-up.js';
import { copyUpName, prepareLoss } from '../copy-up/hard-links.js';
import { isReserved } from '../names/file-whiteouts.js';
import { completeListing } from '../names/listing.js';
import { findNode } from '../names/lookup.js';
import { declared } from '../nodes/declare.js';
import type { DirectoryNode, OverlayNode } from '../nodes/node.js';
import { acquire, release } from '../nodes/references.js';
import type { Union } from '../nodes/union.js';
import { finishRename, wasRenamed } from './redo.js';
import { exchangeNodes } from './rename-exchange.js';
import { moveNode } from './rename-move.js';
import type { Renaming } from './renaming.js';

/** rename(2), with RENAME_NOREPLACE or RENAME_EXCHANGE in `flags`. Answers 0 or a negated errno. */
export function renameName(
  union: Union,
  from: DirectoryNode,
  fromName: ByteString,
  to: DirectoryNode,
  toName: ByteString,
  flags: number,
): Errno {
  if (!union.writable) return -EROFS;
  if (flags !== 0 && flags !== RENAME_NOREPLACE && flags !== RENAME_EXCHANGE) return -EINVAL;
  if (to.dead) return -ENOENT;
  if (toName.length > NAME_MAX) return -ENAMETOOLONG;
  if (isReserved(union, toName)) return -EINVAL;
  const again = declared(union, 'rename');
  if (again !== null && wasRenamed(union, to, toName, again)) {
    return finishRename(union, { from, fromName, to, toName }, again);
  }
  const source = findNode(union, from, fromName);
  if (typeof source === 'number') return source;
  const found = findNode(union, to, toName);
  const renaming = { from, fromName, to, toName, source, target: typeof found === 'number' ? null : found };
  // Held meanwhile: a copy in the background that the rename completes gives its own references back.
  acquire(source);
  if (renaming.target !== null) acquire(renaming.target);
  // The new name was free the first time; what is there now was put there by then (rename-cover.ts).
  const wanted = again === null ? flags : flags & ~RENAME_NOREPLACE;
  const status = typeof found === 'number' && found !== -ENOENT ? found : perform(union, renaming, wanted);
  release(union, source);
  if (renaming.target !== null) release(union, renaming.target);
  return status;
}

function perform(union: Union, renaming: Renaming, flags: number): Errno {
  const refused =
    flags === RENAME_EXCHANGE ? refuseExchange(union, renaming) : refuseMove(union, renaming, flags);
  if (refused < 0) return refused;
  // Two names of one file: rename(2) does nothing and says that it worked.
  if (renaming.source === renaming.target) return 0;
  const { source, target, from, fromName, to, toName } = renaming;
  let status = copyUpName(union, source, from, fromName);
  if (status >= 0) status = copyUpMetadata(union, to);
  const isLost = flags !== RENAME_EXCHANGE && target !== null && !target.isDirectory();
  if (status >= 0 && isLost) status = prepareLoss(union, target, to, toName);
  if (status < 0) return status;
  return flags === RENAME_EXCHANGE ? exchangeNodes(union, renaming) : moveNode(union, renaming);
}

/** Asked before anything is copied up, so that a refused rename leaves nothing (ovl_can_move). */
function canMove(union: Union, node: OverlayNode): boolean {
  return !node.isDirectory() || !node.merges || union.features.redirects === 'on';
}

function refuseExchange(union: Union, { source, target, from, to }: Renaming): Errno {
  if (target === null) return -ENOENT;
  if (isWithin(to, source) || isWithin(from, target)) return -EINVAL;
  return source === target || (canMove(union, source) && canMove(union, target)) ? 0 : -EXDEV;
}

function refuseMove(union: Union, { source, target, from, to }: Renaming, flags: number): Errno {
  if (source === union.root || target === union.root) return -EBUSY;
  if (isWithin(to, source)) return -EINVAL;
  if (target !== null && flags === RENAME_NOREPLACE) return -EEXIST;
  if (target === source) return 0;
  if (target !== null && isWithin(from, target)) return -ENOTEMPTY;
  if (target !== null && source.isDirectory() !== target.isDirectory()) {
    return target.isDirectory() ? -EISDIR : -ENOTDIR;
  }
  if (!canMove(union, source)) return -EXDEV;
  if (target === null || !target.isDirectory()) return 0;
  const listed = completeListing(union, target);
  if (listed < 0) return listed;
  return target.entries.size > 0 ? -ENOTEMPTY : 0;
}

/** Whether `directory` is `node` or lies somewhere below it. */
function isWithin(directory: DirectoryNode, node: OverlayNode): boolean {
  for (let at: DirectoryNode | null = directory; at !== null; at = at.parent) if (at === node) return true;
  return false;
}
