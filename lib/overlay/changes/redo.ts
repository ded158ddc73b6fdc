// SPDX-License-Identifier: MIT
/**
 * What an earlier server has done on disk and did not come to note: a request that is
 * served again finds it done, and what belongs to it is caught up on.
 */
import type { ByteString } from '../../base/bytes.js';
import { ENOENT, type Errno } from '../../base/errno.js';
import { changeTimes, rename, unlink } from '../../sys/entries.js';
import { close, O_DIRECTORY, O_PATH, openBeneath } from '../../sys/files.js';
import { Stat, statAt } from '../../sys/stat.js';
import type { Losing, RenameIntent } from '../journal/intent.js';
import type { RecordedNode, RecordedTimes } from '../journal/recorded.js';
import { hideByFile } from '../names/file-whiteouts.js';
import { hides } from '../names/whiteouts.js';
import type { DirectoryNode } from '../nodes/node.js';
import { gone, type Union } from '../nodes/union.js';
import { uncover } from './create.js';
import { coverOldName } from './rename-cover.js';

/** The name is gone: what becomes of the node. Answers 0 or a negated errno. */
export function finishLosing(union: Union, losing: Losing): Errno {
  const node = union.recovered?.get(losing.id);
  if (node !== undefined) {
    if (losing.first) moveRecovered(union, node, losing.next?.parent ?? 0, losing.next?.name ?? '');
    if (losing.orphan !== null) orphanRecovered(union, node, losing.orphan);
    if (losing.remains !== null) {
      node.dead = Object.assign(new Stat(), losing.remains);
      union.journal!.dead(node.id, node.dead);
    }
  }
  return losing.indexed === null ? 0 : finishIndexed(union, node, losing.indexed);
}

function moveRecovered(union: Union, node: RecordedNode, parent: number, name: ByteString): void {
  union.recovered!.move(node, parent, name);
  union.journal!.name(node.id, parent, name);
}

function orphanRecovered(union: Union, node: RecordedNode, orphan: ByteString): void {
  node.orphan = orphan;
  union.journal!.orphan(node.id, orphan);
}

/** After the last name the content leaves the index: to the work directory while somebody may use it. */
function finishIndexed(
  union: Union,
  node: RecordedNode | undefined,
  { name, lowerLinks, orphan }: NonNullable<Losing['indexed']>,
): Errno {
  const index = union.index!;
  const work = union.work!;
  if (index.linksLeft(name, lowerLinks) > 0) return 0;
  if (node === undefined) {
    const status = unlink(index.fd, name);
    return status === -ENOENT ? 0 : status;
  }
  const status = rename(index.fd, name, work.fd, orphan);
  if (status < 0 && status !== -ENOENT) return status;
  orphanRecovered(union, node, orphan);
  return 0;
}

interface Names {
  from: DirectoryNode;
  fromName: ByteString;
  to: DirectoryNode;
  toName: ByteString;
}

/** Whether the object that was to be renamed is at its new name. */
export function wasRenamed(
  union: Union,
  to: DirectoryNode,
  toName: ByteString,
  { inodeLow, inodeHigh }: RenameIntent,
): boolean {
  if (to.upper === null) return false;
  const stat = new Stat();
  const dir = union.directories.of(to.upper);
  if (dir < 0 || statAt(dir, toName, stat) < 0) return false;
  return stat.inodeLow === inodeLow && stat.inodeHigh === inodeHigh;
}

export function finishRename(union: Union, names: Names, intent: RenameIntent): Errno {
  const { from, fromName, to, toName } = names;
  const source = union.recovered?.get(intent.source.id);
  const target = union.recovered?.get(intent.target?.id ?? 0);
  if (intent.exchange) {
    if (target !== undefined && intent.target!.first) moveRecovered(union, target, from.id, fromName);
  } else if (intent.target !== null) {
    const lost = finishLosing(union, intent.target);
    if (lost < 0) return lost;
  }
  if (source !== undefined && intent.source.first) moveRecovered(union, source, to.id, toName);
  let status = intent.removeWhiteout ? removeWhiteout(union, from, fromName) : 0;
  if (status >= 0 && intent.coverOldName) status = coverOldName(union, from, fromName);
  if (status >= 0 && intent.hideByFile) status = hideByFile(union, from, fromName);
  return status < 0 ? status : uncover(union, to, toName);
}

function removeWhiteout(union: Union, directory: DirectoryNode, name: ByteString): Errno {
  const dir = union.directories.of(directory.upper!);
  const stat = new Stat();
  const found = dir < 0 ? dir : statAt(dir, name, stat);
  if (found === -ENOENT) return 0;
  if (found < 0) return gone(found);
  return hides(union, directory.upper!, dir, name, stat) ? unlink(dir, name) : 0;
}

/** Puts a directory's times back that a copy-up had changed for a moment. Answers 0 or a negated errno. */
export function restoreTimes(union: Union, times: RecordedTimes): Errno {
  let at = union.upper!.fd;
  for (const component of times.path === '' ? [] : times.path.split('/')) {
    const next = openBeneath(at, component, O_PATH | O_DIRECTORY);
    if (at !== union.upper!.fd) close(at);
    if (next < 0) return next;
    at = next;
  }
  const status = changeTimes(at, '.', times);
  if (at !== union.upper!.fd) close(at);
  return status;
}
