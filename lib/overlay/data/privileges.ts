// SPDX-License-Identifier: MIT
/**
 * setuid, setgid and security.capability go when somebody changes a file who may not keep them. The kernel
 * leaves it to a FUSE server (HANDLE_KILLPRIV_V2), whose own system calls keep the bits, because it may.
 */
import type { ByteString } from '../../base/bytes.js';
import { ENODATA, type Errno } from '../../base/errno.js';
import {
  CAP_FOWNER,
  CAP_FSETID,
  type Caller,
  isCapable,
  isCapableOver,
  isInGroup,
} from '../../sys/callers.js';
import { changeOwner } from '../../sys/entries.js';
import { Stat } from '../../sys/stat.js';
import { removeXattr } from '../../sys/xattrs.js';
import { copyUpMetadata } from '../copy-up/copy-up.js';
import { changeOwnership, S_ISGID, S_ISUID, S_IXGRP, statUpper } from '../copy-up/ownership.js';
import { NO_ID } from '../layers/id-mapping.js';
import type { FileNode, OverlayNode } from '../nodes/node.js';
import { gone, type Place, type Union } from '../nodes/union.js';

const CAPABILITY: ByteString = 'security.capability';

/** Who the file system shows as owner and group, of attributes as they are on disk. */
function shown(union: Union, { uid, gid }: Stat): { uid: number; gid: number } {
  const { ids } = union.features;
  return ids === null ? { uid, gid } : { uid: ids.users.show(uid), gid: ids.groups.show(gid) };
}

/** in_group_or_capable */
function mayKeepSetgid(union: Union, stat: Stat, by: Caller): boolean {
  const { uid, gid } = shown(union, stat);
  return isInGroup(by, gid) || isCapableOver(by, CAP_FSETID, uid, gid);
}

/**
 * The mode after a change by somebody without CAP_FSETID: without setuid, and without setgid where the group
 * may execute or the caller is outside it (setattr_should_drop_suidgid). `by` is null for a caller of the library.
 */
function modeAfterChange(union: Union, stat: Stat, by: Caller | null): number {
  const mode = stat.mode & ~S_ISUID;
  if ((mode & S_ISGID) === 0) return mode;
  const goes = (mode & S_IXGRP) !== 0 || (by !== null && !mayKeepSetgid(union, stat, by));
  return goes ? mode & ~S_ISGID : mode;
}

/** An object of the upper that is about to change: where it is, and what it is now. */
interface Subject {
  readonly place: Place;
  readonly stat: Stat;
}

/** Used again for every change. */
const subject: Subject = { place: { fd: -1, name: '' }, stat: new Stat() };

/** Finds the node in the upper and fills `out`. */
function find(union: Union, node: OverlayNode, out: Subject): Errno {
  const { place, stat } = out;
  const located = union.locate(node, place);
  return located < 0 ? located : gone(statUpper(union, place.fd, place.name, stat));
}

function setMode(union: Union, { place, stat }: Subject, mode: number): Errno {
  if (mode === stat.mode) return 0;
  return changeOwnership(union, place.fd, place.name, { uid: NO_ID, gid: NO_ID, mode });
}

/** After a write or truncate by somebody without CAP_FSETID. Precondition: the file is in the upper. */
export function killPrivileges(union: Union, node: FileNode, by: Caller | null): Errno {
  const found = find(union, node, subject);
  if (found < 0) return found;
  const status = setMode(union, subject, modeAfterChange(union, subject.stat, by));
  // What is written to a lazy copy is not written to the file itself, which keeps its capability by that.
  return status < 0 || node.data.kind !== 'lazy' || node.lacksCapability
    ? status
    : removeCapability(subject, node);
}

function removeCapability({ place }: Subject, node: FileNode): Errno {
  const status = removeXattr(place.fd, place.name, CAPABILITY);
  node.lacksCapability = status === 0 || status === -ENODATA;
  return status === -ENODATA ? 0 : status;
}

/** After fallocate and copy_file_range, whose requests do not say what the caller may keep. */
export function killPrivilegesUnlessCapable(union: Union, node: FileNode, by: Caller | null): Errno {
  const found = by === null ? 0 : find(union, node, subject);
  if (by === null || found < 0 || (subject.stat.mode & (S_ISUID | S_ISGID)) === 0) return found;
  return isCapable(by, CAP_FSETID) ? 0 : setMode(union, subject, modeAfterChange(union, subject.stat, by));
}

/**
 * chown(2) with neither owner nor group. It reaches us without a word, in the same way as what the kernel asks
 * for before a change of the content (file_remove_privs): fuse_setattr takes ATTR_MODE away, by which
 * setattr_prepare would have refused a stranger's. So a stranger changes nothing here, and what his change of the
 * content does to the mode is done with that.
 */
export function chownToNobody(union: Union, node: OverlayNode, by: Caller | null): Errno {
  const found = find(union, node, subject);
  if (found < 0) return found;
  if (by !== null && !node.isDirectory()) {
    const { uid, gid } = shown(union, subject.stat);
    if (by.uid !== uid && !isCapableOver(by, CAP_FOWNER, uid, gid)) return 0;
  }
  const status = node.isDirectory() ? 0 : setMode(union, subject, modeAfterChange(union, subject.stat, by));
  if (status < 0 || union.upper!.override !== null) return status;
  return changeOwner(subject.place.fd, subject.place.name, NO_ID, NO_ID);
}

/** The mode that a change of owner or group has to give beside, -1 for none: the server's own chown keeps setgid for whoever. */
export function modeAfterChown(union: Union, node: OverlayNode, by: Caller | null): number {
  if (by === null || node.isDirectory() || find(union, node, subject) < 0) return -1;
  const { stat } = subject;
  if ((stat.mode & (S_ISGID | S_IXGRP)) !== S_ISGID) return -1;
  return mayKeepSetgid(union, stat, by) ? -1 : stat.mode & ~(S_ISUID | S_ISGID);
}

/** After a new ACL by somebody outside the group: setgid goes, setuid stays, on directories too (posix_acl_update_mode). */
export function killSetgid(union: Union, node: OverlayNode): Errno {
  const found = find(union, node, subject);
  return found < 0 ? found : setMode(union, subject, subject.stat.mode & ~S_ISGID);
}

/** After an ACL is taken away: setgid goes if the caller is outside the group (ovl_set_or_remove_acl). */
export function killSetgidOutside(union: Union, node: OverlayNode, by: Caller): Errno {
  const found = find(union, node, subject);
  if (found < 0 || (subject.stat.mode & S_ISGID) === 0 || mayKeepSetgid(union, subject.stat, by))
    return found;
  const copied = copyUpMetadata(union, node);
  return copied < 0 ? copied : killSetgid(union, node);
}
