// SPDX-License-Identifier: MIT
/** An exchange (RENAME_EXCHANGE): two objects of any types take each other's names. */
import type { ByteString } from '../../base/bytes.js';
import type { Errno } from '../../base/errno.js';
import { RENAME_EXCHANGE, rename } from '../../sys/entries.js';
import { copyUpName } from '../copy-up/hard-links.js';
import { losingName } from '../nodes/declare.js';
import { attach, type DirectoryNode, detach, type Entry, type OverlayNode } from '../nodes/node.js';
import { recordName } from '../nodes/recorder.js';
import { gone, type Union } from '../nodes/union.js';
import { carryImpurity } from './link.js';
import { prepareMove } from './redirect.js';
import { declareRename, type Renaming } from './renaming.js';

/** Precondition: the source and both parents are in the upper. No whiteout is needed: both names stay taken. */
export function exchangeNodes(union: Union, renaming: Renaming): Errno {
  const { from, fromName, to, toName, source } = renaming;
  const target = renaming.target!;
  let status = copyUpName(union, target, to, toName);
  if (status >= 0) status = prepareOne(union, source, from, fromName, to);
  if (status >= 0) status = prepareOne(union, target, to, toName, from);
  if (status < 0) return status;
  const fromDir = union.directories.of(from.upper!);
  const toDir = union.directories.of(to.upper!);
  if (fromDir < 0 || toDir < 0) return gone(Math.min(fromDir, toDir));
  status = declareRename(union, renaming, {
    target: losingName(target, to, toName, null),
    exchange: true,
    removeWhiteout: false,
    coverOldName: false,
    hideByFile: false,
  });
  if (status >= 0) status = rename(fromDir, fromName, toDir, toName, RENAME_EXCHANGE);
  if (status < 0) return status;
  const first = from.entries.get(fromName)!;
  const second = to.entries.get(toName)!;
  detach(first);
  detach(second);
  settleIn(first, target);
  settleIn(second, source);
  recordName(union, target);
  recordName(union, source);
  return 0;
}

function prepareOne(
  union: Union,
  node: OverlayNode,
  from: DirectoryNode,
  name: ByteString,
  to: DirectoryNode,
): Errno {
  const status = carryImpurity(union, from, node, to);
  return status < 0 ? status : prepareMove(union, node, from, name, to);
}

function settleIn(entry: Entry, node: OverlayNode): void {
  entry.type = node.type;
  entry.places = null;
  entry.inodeKnown = false;
  attach(entry, node);
  node.names.unshift(node.names.pop()!);
  if (node.isDirectory()) {
    node.upper!.parent = entry.directory.upper;
    node.upper!.name = entry.name;
  }
}
