// SPDX-License-Identifier: MIT
/**
 * A move: the source gets its new name, and the old one is free or whited out.
 *
 * One renameat2(2) does both, in the flavour that the case calls for (ovl_rename
 * in fs/overlayfs/dir.c):
 *
 *   old name in a lower | at the new name in the upper | flavour
 *   no                  | nothing, or an object        | plain
 *   no                  | a whiteout, source a file    | plain: the whiteout is replaced
 *   no                  | a whiteout, source a directory | exchange, then remove the whiteout
 *   yes                 | nothing, or an object        | leave a whiteout (RENAME_WHITEOUT)
 *   yes                 | a whiteout                   | exchange: the whiteout comes to the old name
 *
 * Where the upper cannot leave a whiteout, or not of the kind that it holds, the old name is
 * whited out by a step of its own (rename-cover.ts).
 *
 * Where whiteouts are files every move is plain, with a file made beside the old
 * name before it, or after it for a merged directory: beside one it would end the
 * merge (file-whiteouts.ts).
 */
import type { ByteString } from '../../base/bytes.js';
import { ENOENT, type Errno } from '../../base/errno.js';
import {
  changeTimes,
  makeDirectory,
  makeLink,
  RENAME_EXCHANGE,
  RENAME_WHITEOUT,
  rename,
  unlink,
} from '../../sys/entries.js';
import { Stat, statAt } from '../../sys/stat.js';
import { endLinkChange, startLinkChange } from '../copy-up/hard-links.js';
import { setOwnership, statUpper } from '../copy-up/ownership.js';
import { copyXattrs } from '../copy-up/staging.js';
import { moveAsOwner } from '../formats/as-owner.js';
import type { Losing } from '../journal/intent.js';
import type { WorkDirectory } from '../layers/work.js';
import { lowerHas } from '../names/ask.js';
import { resolveData } from '../names/file-lookup.js';
import { hideByFile, makeOpaque, removeFileWhiteout } from '../names/file-whiteouts.js';
import { announceWhiteouts, hides } from '../names/whiteouts.js';
import { losingIndexed, losingName } from '../nodes/declare.js';
import { addEntry, removeEntry } from '../nodes/entries.js';
import { attach, type DirectoryNode, detach, type FileNode, type OverlayNode } from '../nodes/node.js';
import { recordName, recordPlaces, setWhere } from '../nodes/recorder.js';
import { gone, type Union } from '../nodes/union.js';
import { uncover } from './create.js';
import { carryImpurity } from './link.js';
import { prepareMove } from './redirect.js';
import { bury, keepReachable, remainsOf } from './remove.js';
import { moveThenCover } from './rename-cover.js';
import { declareRename, type Renaming } from './renaming.js';

interface Flavour {
  flags: number;
  /** The old name ends up whited out. */
  leavesWhiteout: boolean;
  /** By a step of its own, after the move. */
  coversOldName: boolean;
  /** An exchange has brought a whiteout to the old name, where it hides nothing. */
  removeWhiteout: boolean;
  /** The old name is hidden by a file, made at this point of the move. */
  hidesByFile: 'no' | 'before' | 'after';
}

/** Precondition: source and both parents are in the upper; the target may be replaced. */
export function moveNode(union: Union, renaming: Renaming): Errno {
  const { from, fromName, to, source, target } = renaming;
  const flavour = chooseFlavour(union, renaming);
  if (typeof flavour === 'number') return flavour;
  let status = carryImpurity(union, from, source, to);
  if (status >= 0) status = prepareMove(union, source, from, fromName, to);
  if (status < 0) return status;
  const orphan = keepTarget(union, renaming);
  if (typeof orphan === 'number') return orphan;
  const losing = losingTarget(union, renaming, orphan);
  if (target !== null) status = startLinkChange(union, target);
  if (status >= 0) status = declareMove(union, renaming, flavour, losing);
  if (status >= 0) status = place(union, renaming, flavour);
  if (status < 0) {
    if (orphan !== '') union.work!.discard(orphan);
    return status;
  }
  if (orphan !== '') setWhere(union, target as FileNode, { kind: 'orphan', name: orphan });
  updateNames(union, renaming, flavour.leavesWhiteout, losing?.remains ?? null);
  return target === null ? 0 : endLinkChange(union, target, -1, losing?.indexed?.orphan);
}

/** What becomes of the target, if there is one. */
function losingTarget(union: Union, { to, toName, target }: Renaming, orphan: ByteString): Losing | null {
  if (target === null) return null;
  const remains = target.isDirectory() ? remainsOf(union, target) : null;
  const losing = losingName(target, to, toName, orphan === '' ? null : orphan, remains);
  losing.indexed = losingIndexed(union, target);
  if (!target.isDirectory()) recordPlaces(union, target);
  return losing;
}

function declareMove(
  union: Union,
  renaming: Renaming,
  { removeWhiteout, coversOldName, hidesByFile }: Flavour,
  target: Losing | null,
): Errno {
  return declareRename(union, renaming, {
    target,
    exchange: false,
    removeWhiteout,
    coverOldName: coversOldName,
    hideByFile: hidesByFile === 'after',
  });
}

/** The rename itself, and what makes the old name hidden or free. */
function place(union: Union, renaming: Renaming, flavour: Flavour): Errno {
  if (flavour.coversOldName) return moveThenCover(union, renaming);
  const { from, fromName, to, toName } = renaming;
  const fromDir = union.directories.of(from.upper!);
  const toDir = union.directories.of(to.upper!);
  let status = fromDir < 0 || toDir < 0 ? gone(Math.min(fromDir, toDir)) : 0;
  if (status >= 0 && flavour.hidesByFile === 'before') status = hideByFile(union, from, fromName);
  if (status >= 0) status = moveAsOwner(fromDir, fromName, toDir, toName, flavour.flags);
  if (status < 0) {
    if (flavour.hidesByFile === 'before') removeFileWhiteout(union, from, fromName);
    return status;
  }
  if (flavour.removeWhiteout) status = unlink(fromDir, fromName);
  if (flavour.hidesByFile === 'after') status = hideByFile(union, from, fromName);
  return status < 0 ? status : uncover(union, to, toName);
}

function chooseFlavour(
  union: Union,
  { from, fromName, to, toName, source, target }: Renaming,
): Flavour | Errno {
  const below = lowerHas(union, from, fromName);
  if (typeof below === 'number') return below;
  const over = target === null ? whiteoutAt(union, to, toName) : false;
  if (typeof over === 'number') return over;
  const { form, can } = union.work!.ways;
  if (!below || form === 'file') {
    const exchanges = over && source.isDirectory();
    const flags = exchanges ? RENAME_EXCHANGE : 0;
    const hidesByFile = below ? hidingTime(source) : 'no';
    return { flags, leavesWhiteout: false, coversOldName: false, removeWhiteout: exchanges, hidesByFile };
  }
  const leaves = { leavesWhiteout: true, removeWhiteout: false, hidesByFile: 'no' } as const;
  if (over) {
    // What comes to the old name may be a marked file.
    const status = to.upper!.xattrWhiteouts ? announceWhiteouts(union, from.upper!) : 0;
    return status < 0 ? status : { flags: RENAME_EXCHANGE, coversOldName: false, ...leaves };
  }
  return form === 'device' && can.renameWhiteout
    ? { flags: RENAME_WHITEOUT, coversOldName: false, ...leaves }
    : { flags: 0, coversOldName: true, ...leaves };
}

/** Beside a directory the file would end its merge, as long as it is there. */
function hidingTime(source: OverlayNode): 'before' | 'after' {
  return source.isDirectory() && source.merges ? 'after' : 'before';
}

const present = new Stat();

/** Whether the upper has a whiteout of that name; or a negated errno. */
function whiteoutAt(union: Union, directory: DirectoryNode, name: ByteString): boolean | Errno {
  if (directory.complete) return directory.whiteouts.has(name);
  const fd = union.directories.of(directory.upper!);
  const status = fd < 0 ? fd : statAt(fd, name, present);
  if (status === -ENOENT) return false;
  return status < 0 ? status : hides(union, directory.upper!, fd, name, present);
}

/**
 * Makes ready what is about to be replaced: a file that may be in use keeps its
 * content under an orphan's name, a directory is made empty in the upper.
 * Answers the orphan's name, '' where there is none, or a negated errno.
 */
function keepTarget(union: Union, { to, toName, target }: Renaming): ByteString | Errno {
  if (target === null) return '';
  if (target.isDirectory()) {
    const pinned = keepReachable(union, target);
    if (pinned < 0) return pinned;
    // In the upper it is not empty where whiteouts are left in it, and those that are files are not counted.
    const mayHoldWhiteouts = target.whiteouts.size > 0 || union.upper!.readsFiles;
    const status = target.upper !== null && mayHoldWhiteouts ? clearTarget(union, to, toName) : 0;
    return status < 0 ? status : '';
  }
  const resolved = target.references > 0 ? resolveData(union, target) : 0;
  if (resolved < 0) return resolved;
  if (target.where.kind !== 'upper' || target.references === 0 || target.names.length > 1) return '';
  const orphan = union.work!.temporaryName();
  const status = makeLink(union.directories.of(to.upper!), toName, union.work!.fd, orphan);
  return status < 0 ? status : orphan;
}

/** Puts an empty opaque directory in the place of one that holds only whiteouts (ovl_clear_empty). */
function clearTarget(union: Union, to: DirectoryNode, toName: ByteString): Errno {
  const work = union.work!;
  const dir = union.directories.of(to.upper!);
  const stat = new Stat();
  const found = dir < 0 ? dir : statUpper(union, dir, toName, stat);
  if (found < 0) return gone(found);
  const empty = work.temporaryName();
  let status = makeDirectory(work.fd, empty, 0o700);
  if (status < 0) return status;
  status = setOwnership(union, work.fd, empty, stat);
  if (status >= 0) status = copyXattrs(union, { fd: dir, name: toName }, empty);
  // Where the mark is a file the directory would not be empty with it; one beside it does the same until the move is done.
  const { form, can } = work.ways;
  if (status >= 0)
    status = form === 'file' ? hideByFile(union, to, toName) : makeOpaque(union, work.fd, empty);
  if (status >= 0) status = changeTimes(work.fd, empty, stat);
  if (status >= 0 && can.renameExchange) status = rename(work.fd, empty, dir, toName, RENAME_EXCHANGE);
  else if (status >= 0) status = replaceInTwoSteps(work, empty, dir, toName);
  const discarded = work.discardTree(empty);
  return status < 0 ? status : discarded;
}

/** Where two names cannot be exchanged. The one that is away meanwhile is about to be replaced. */
function replaceInTwoSteps(work: WorkDirectory, staged: ByteString, dir: number, name: ByteString): Errno {
  const old = work.temporaryName();
  let status = rename(dir, name, work.fd, old);
  if (status >= 0) status = rename(work.fd, staged, dir, name);
  return status < 0 ? status : rename(work.fd, old, work.fd, staged);
}

function updateNames(union: Union, renaming: Renaming, leavesWhiteout: boolean, remains: Stat | null): void {
  const { from, fromName, to, toName, source, target } = renaming;
  const replaced = to.entries.get(toName);
  const hidden = replaced?.below;
  if (replaced !== undefined) {
    if (target?.isDirectory()) bury(union, target, remains);
    detach(replaced);
    if (target !== null) recordName(union, target);
    removeEntry(union, replaced, false);
  }
  const old = from.entries.get(fromName)!;
  const position = source.names.indexOf(old);
  detach(old);
  removeEntry(union, old, leavesWhiteout);
  const entry = addEntry(union, to, toName, source.type);
  entry.below = hidden;
  attach(entry, source);
  // The first name is the way to the file: the new one takes the old one's rank.
  source.names.splice(position, 0, source.names.pop()!);
  if (source.isDirectory()) {
    source.upper!.parent = to.upper;
    source.upper!.name = toName;
  }
  if (position === 0) recordName(union, source);
}
