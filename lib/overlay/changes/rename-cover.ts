// SPDX-License-Identifier: MIT
/**
 * A move whose old name is whited out by a step of its own, for uppers that cannot leave a
 * whiteout in the same one. A kill between the two leaves more than there should be and
 * never less:
 *
 *   a file        has both names, as rename(2) allows for a moment
 *   a directory   has the new name, and an empty directory is left at the old one
 *
 * In no case does what a lower layer has under the old name come through.
 */
import type { ByteString } from '../../base/bytes.js';
import { EMLINK, ENOENT, EOPNOTSUPP, EPERM, type Errno } from '../../base/errno.js';
import { makeDirectory, makeLink, RENAME_EXCHANGE, rename } from '../../sys/entries.js';
import { Stat, statAt } from '../../sys/stat.js';
import { makeOpaque } from '../names/file-whiteouts.js';
import { coverWithWhiteout, hides, makeWhiteout } from '../names/whiteouts.js';
import type { DirectoryNode } from '../nodes/node.js';
import { gone, type Union } from '../nodes/union.js';
import type { Renaming } from './renaming.js';

/** Precondition: there is no whiteout at the new name. Answers 0 or a negated errno. */
export function moveThenCover(union: Union, renaming: Renaming): Errno {
  const { from, fromName, source } = renaming;
  const status = source.isDirectory() ? moveDirectory(union, renaming) : moveFile(union, renaming);
  return status < 0 ? status : coverOldName(union, from, fromName);
}

/** Hides what lower layers have of a name that an object has left. */
export function coverOldName(union: Union, from: DirectoryNode, name: ByteString): Errno {
  const real = from.upper!;
  const stat = new Stat();
  const dir = union.directories.of(real);
  const found = dir < 0 ? dir : statAt(dir, name, stat);
  if (found === -ENOENT) return makeWhiteout(union, real, name);
  if (found < 0) return gone(found);
  return hides(union, real, dir, name, stat) ? 0 : coverWithWhiteout(union, real, name, stat.isDirectory);
}

function moveFile(union: Union, { from, fromName, to, toName }: Renaming): Errno {
  const work = union.work!;
  const fromDir = union.directories.of(from.upper!);
  const toDir = union.directories.of(to.upper!);
  if (fromDir < 0 || toDir < 0) return gone(Math.min(fromDir, toDir));
  const staged = work.temporaryName();
  const linked = makeLink(fromDir, fromName, work.fd, staged);
  // Without a second name there is a moment at which the old name is free.
  if ([-EPERM, -EMLINK, -EOPNOTSUPP].includes(linked)) return rename(fromDir, fromName, toDir, toName);
  if (linked < 0) return linked;
  const status = rename(work.fd, staged, toDir, toName);
  if (status < 0) work.discard(staged);
  return status;
}

/** It changes places with an empty directory: that of the target, or one made for it. */
function moveDirectory(union: Union, { from, fromName, to, toName }: Renaming): Errno {
  const stat = new Stat();
  let toDir = union.directories.of(to.upper!);
  const found = toDir < 0 ? toDir : statAt(toDir, toName, stat);
  if (found < 0 && found !== -ENOENT) return gone(found);
  const status = found === -ENOENT ? placeEmpty(union, toDir, toName) : 0;
  if (status < 0) return status;
  const fromDir = union.directories.of(from.upper!);
  toDir = union.directories.of(to.upper!);
  if (fromDir < 0 || toDir < 0) return gone(Math.min(fromDir, toDir));
  return rename(fromDir, fromName, toDir, toName, RENAME_EXCHANGE);
}

function placeEmpty(union: Union, dir: number, name: ByteString): Errno {
  const work = union.work!;
  const empty = work.temporaryName();
  let status = makeDirectory(work.fd, empty, 0o700);
  if (status >= 0) status = makeOpaque(union, work.fd, empty);
  if (status >= 0) status = rename(work.fd, empty, dir, name);
  if (status < 0) work.discardTree(empty);
  return status;
}
