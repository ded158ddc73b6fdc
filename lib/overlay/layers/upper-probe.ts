// SPDX-License-Identifier: MIT
/**
 * What the file system of an upper can do, tried once at the mount in the work directory
 * (ovl_make_workdir in fs/overlayfs/super.c tries some of the same), and how whiteouts are
 * written there:
 *
 *   device      a character device 0:0, where it can be made
 *   attribute   an empty file that is marked, in a directory that says so (overlayfs.rst,
 *               "Nested overlayfs mounts"): an upper on an overlayfs or on a mount of ours
 *   file        `.wh.NAME` (file-whiteouts.ts), where there are neither devices nor attributes
 *
 * The first two need RENAME_EXCHANGE, to put a directory in a whiteout's place.
 */
import { EINVAL, ENOSYS, ENOTTY, EOPNOTSUPP, EPERM, EXDEV } from '../../base/errno.js';
import { OverlayError } from '../../base/errors.js';
import { makeNode, RENAME_EXCHANGE, RENAME_WHITEOUT, rename, unlink } from '../../sys/entries.js';
import { cloneData, close, O_CREAT, O_EXCL, O_RDWR, O_TMPFILE, openAt } from '../../sys/files.js';
import { handleOf } from '../../sys/handles.js';
import { hasTrustedAttributes } from '../../sys/privilege.js';
import { S_IFREG } from '../../sys/stat.js';
import { setXattr } from '../../sys/xattrs.js';
import { Marks, WHITEOUT_DEVICE, WHITEOUT_MODE, YES } from '../formats/marks.js';
import type { Whiteouts } from './features.js';

export type WhiteoutForm = 'device' | 'attribute' | 'file';

/** What was found. */
export interface UpperAbilities {
  whiteoutDevices: boolean;
  /** RENAME_WHITEOUT */
  renameWhiteout: boolean;
  /** RENAME_EXCHANGE */
  renameExchange: boolean;
  /** O_TMPFILE */
  unnamedFiles: boolean;
  trustedAttributes: boolean;
  userAttributes: boolean;
  /** FICLONE */
  reflinks: boolean;
  /** name_to_handle_at(2) */
  fileHandles: boolean;
}

/** How this union writes into its upper. */
export interface UpperWays {
  readonly form: WhiteoutForm;
  readonly can: UpperAbilities;
  /** Why hard links break at copy-up; '' where an index keeps them together. */
  noIndex: string;
}

/** Of a full disk or a broken one nothing is learned: what failed so is taken to be possible. */
const REFUSALS = new Set([-EPERM, -EINVAL, -EOPNOTSUPP, -ENOSYS, -ENOTTY, -EXDEV]);

const can = (status: number): boolean => !REFUSALS.has(status);

/** Leaves nothing behind. Precondition: the work directory is empty. */
export function probeUpper(work: number): UpperAbilities {
  makeNode(work, 'probe', S_IFREG | 0o600, 0);
  makeNode(work, 'other', S_IFREG | 0o600, 0);
  const marked = (marks: Marks): boolean => can(setXattr(work, 'probe', marks.opaque, YES));
  const abilities = {
    trustedAttributes: marked(new Marks(false)),
    userAttributes: marked(new Marks(true)),
    fileHandles: typeof handleOf(work, 'probe') !== 'number',
    reflinks: clones(work),
    renameExchange: can(rename(work, 'probe', work, 'other', RENAME_EXCHANGE)),
    renameWhiteout: can(rename(work, 'probe', work, 'other', RENAME_WHITEOUT)),
    whiteoutDevices: can(makeNode(work, 'device', WHITEOUT_MODE, WHITEOUT_DEVICE)),
    unnamedFiles: opensUnnamed(work),
  };
  for (const name of ['probe', 'other', 'device']) unlink(work, name);
  return abilities;
}

function clones(work: number): boolean {
  const from = openAt(work, 'probe', O_RDWR);
  const to = openAt(work, 'clone', O_RDWR | O_CREAT | O_EXCL, 0o600);
  const status = from < 0 || to < 0 ? Math.min(from, to) : cloneData(from, to);
  for (const fd of [from, to]) if (fd >= 0) close(fd);
  unlink(work, 'clone');
  return can(status);
}

function opensUnnamed(work: number): boolean {
  const fd = openAt(work, '.', O_TMPFILE | O_RDWR, 0o600);
  if (fd >= 0) close(fd);
  return can(fd);
}

export interface WantedFormat {
  whiteouts: Whiteouts;
  marks: Marks;
  /** What cannot be had without attributes, as the options that ask for it; '' for nothing. */
  needsMarks: string;
}

/** The best form that the upper can hold. Throws an OverlayError where it cannot hold what is wanted. */
export function chooseForm(
  found: UpperAbilities,
  { whiteouts, marks, needsMarks }: WantedFormat,
  path: string,
): WhiteoutForm {
  const { inUser } = marks;
  const keepsMarks = inUser ? found.userAttributes : found.trustedAttributes;
  const keepsOthers = inUser ? found.trustedAttributes : found.userAttributes;
  // With the other ones the marks of its lower layers would not be read.
  if (!keepsMarks && keepsOthers && whiteouts !== 'aufs') throw wrongNamespace(marks, inUser, path);
  if (!keepsMarks && needsMarks !== '') {
    const reason = `its file system has no ${marks.prefix}* attributes, which ${needsMarks} needs`;
    throw refusal(path, reason, `leave out ${needsMarks}, or put upper and work on another file system`);
  }
  if (whiteouts === 'aufs') return 'file';
  if (keepsMarks && found.renameExchange) return found.whiteoutDevices ? 'device' : 'attribute';
  if (whiteouts === 'both') return 'file';
  const lacking = keepsMarks
    ? 'cannot exchange two names (RENAME_EXCHANGE)'
    : `has no ${marks.prefix}* attributes`;
  const remedy = 'put upper and work on another file system, or leave out whiteout=overlay';
  throw refusal(path, `its file system ${lacking}`, remedy);
}

function wrongNamespace({ prefix }: Marks, inUser: boolean, path: string): OverlayError {
  const other = inUser ? 'leave out userxattr' : 'give -o userxattr';
  if (!inUser && !hasTrustedAttributes()) {
    return refusal(path, `${prefix}* attributes cannot be set`, `run as root, or ${other}`, EPERM);
  }
  const reason = `its file system takes ${inUser ? 'trusted' : 'user'}.* attributes, but no ${prefix}* ones`;
  return refusal(path, reason, `${other}, or put upper and work on another file system`);
}

function refusal(path: string, reason: string, remedy: string, errno = EOPNOTSUPP): OverlayError {
  return new OverlayError({ operation: 'use upper directory', path, errno, reason, remedy });
}
