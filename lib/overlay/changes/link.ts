// SPDX-License-Identifier: MIT
/** Further names for files (link(2)), and what a directory must say when an object from elsewhere comes to it. */
import type { ByteString } from '../../base/bytes.js';
import { EEXIST, ENODATA, EOPNOTSUPP, EPERM, type Errno } from '../../base/errno.js';
import { makeLink, RENAME_NOREPLACE, rename } from '../../sys/entries.js';
import { Stat, statAt } from '../../sys/stat.js';
import { getXattr } from '../../sys/xattrs.js';
import { copyUpMetadata } from '../copy-up/copy-up.js';
import { endLinkChange, startLinkChange } from '../copy-up/hard-links.js';
import { completeBelow } from '../copy-up/lazy-copy.js';
import { linkKey } from '../names/file-lookup.js';
import { setImpure } from '../names/impure.js';
import { requireWhiteout } from '../names/whiteouts.js';
import { declare, declared } from '../nodes/declare.js';
import { addEntry } from '../nodes/entries.js';
import { UPPER } from '../nodes/file-content.js';
import { attach, type DirectoryNode, type FileNode, type OverlayNode, orphanOf } from '../nodes/node.js';
import { recordName, setWhere } from '../nodes/recorder.js';
import { gone, type Union } from '../nodes/union.js';
import { prepareParent, uncover } from './create.js';
import { redirectFile } from './redirect.js';

/** A further name for a file; copies it up first. Answers 0 or a negated errno. */
export function linkNode(union: Union, node: OverlayNode, parent: DirectoryNode, name: ByteString): Errno {
  if (node.isDirectory()) return -EPERM;
  const again = declared(union, 'link');
  const dir = prepareParent(union, parent, name, again !== null);
  if (dir < 0) return dir;
  if (again !== null && requireWhiteout(union, parent.upper!, name) === -EEXIST) {
    return finishLink(union, node, parent, name, again.orphan);
  }
  let status = completeBelow(union, node);
  if (status >= 0) status = copyUpMetadata(union, node);
  if (status < 0) return status;
  const first = node.names[0];
  if (first !== undefined) {
    status = carryImpurity(union, first.directory, node, parent);
    if (status >= 0) status = redirectFile(union, node, first.directory, first.name, false);
    if (status < 0) return status;
  }
  status = startLinkChange(union, node);
  const { place } = union;
  if (status >= 0) status = union.locate(node, place);
  if (status < 0) return status;
  const target = union.directories.of(parent.upper!);
  const orphan = orphanOf(node);
  if (again === null) declare(union, { kind: 'link', orphan: orphan !== null });
  status =
    orphan === null
      ? makeLink(place.fd, place.name, target, name)
      : placeOrphan(union, node, orphan, target, name);
  if (status === -EEXIST) status = linkOverWhiteout(union, node, parent, name);
  if (status < 0) return status;
  status = enterLink(union, node, parent, name);
  return status < 0 ? status : endLinkChange(union, node, 1);
}

/** An earlier server has made the link: how many there are is counted already. */
function finishLink(
  union: Union,
  node: FileNode,
  parent: DirectoryNode,
  name: ByteString,
  wasOrphan: boolean,
): Errno {
  if (wasOrphan && orphanOf(node) !== null) setWhere(union, node, UPPER);
  return enterLink(union, node, parent, name);
}

/** The name is there: the node has it from now on. */
function enterLink(union: Union, node: FileNode, parent: DirectoryNode, name: ByteString): Errno {
  const status = uncover(union, parent, name);
  if (status < 0) return status;
  const stat = new Stat();
  const known = statAt(union.directories.of(parent.upper!), name, stat);
  if (known < 0) return gone(known);
  union.nodes.rememberLinks(node, linkKey(stat));
  if (node.recorded) union.journal!.linked(node.id);
  attach(addEntry(union, parent, name, node.type), node);
  if (node.names.length === 1) recordName(union, node);
  return 0;
}

/** A file made by O_TMPFILE gets its first name: what held its content in the work directory becomes it. */
function placeOrphan(union: Union, node: FileNode, orphan: ByteString, dir: number, name: ByteString): Errno {
  const status = rename(union.work!.fd, orphan, dir, name, RENAME_NOREPLACE);
  if (status === 0) setWhere(union, node, UPPER);
  return status;
}

function linkOverWhiteout(union: Union, node: FileNode, parent: DirectoryNode, name: ByteString): Errno {
  const hidden = requireWhiteout(union, parent.upper!, name);
  if (hidden < 0) return hidden;
  const work = union.work!;
  const staged = work.temporaryName();
  const located = union.locate(node, union.place);
  if (located < 0) return located;
  const linked = makeLink(union.place.fd, union.place.name, work.fd, staged);
  if (linked < 0) return linked;
  const placed = rename(work.fd, staged, union.directories.of(parent.upper!), name);
  if (placed < 0) work.discard(staged);
  return placed;
}

/** An object with an origin makes the directory it comes to impure (ovl_set_impure). */
export function carryImpurity(
  union: Union,
  from: DirectoryNode,
  node: OverlayNode,
  to: DirectoryNode,
): Errno {
  if (from === to || from.impure === false) return 0;
  const located = union.locate(node, union.place);
  if (located < 0) return located;
  const mark = getXattr(union.place.fd, union.place.name, union.marks.origin);
  if (typeof mark !== 'number') return setImpure(union, to);
  return mark === -ENODATA || mark === -EOPNOTSUPP || mark === -EPERM ? 0 : mark;
}
