// SPDX-License-Identifier: MIT
/**
 * Inode flags (chattr(1)) of the file where it is; what they forbid, the upper's
 * file system forbids. To set flags the kernel first asks for them in the longer
 * form (vfs_fileattr_set in fs/file_attr.c), so both forms are passed on.
 */
import { EINVAL, ENOTTY, EPERM, type Errno } from '../../base/errno.js';
import {
  CAP_LINUX_IMMUTABLE,
  type Caller,
  isCapable,
  isInFirstNamespace,
  isOwnerOrCapable,
} from '../../sys/callers.js';
import { close, control, O_NONBLOCK, O_RDONLY, openAt } from '../../sys/files.js';
import { S_IFDIR, S_IFREG, Stat } from '../../sys/stat.js';
import { copyUpMetadata } from '../copy-up/copy-up.js';
import type { OverlayNode } from '../nodes/node.js';
import { gone, type Union } from '../nodes/union.js';
import { getAttributes } from './attributes.js';

/** One form of a file's flags (linux/fs.h). */
interface FlagsForm {
  /** The ioctl that asks for them. */
  readonly get: number;
  /** The ioctl that sets them. */
  readonly set: number;
  /** The flags that CAP_LINUX_IMMUTABLE sets and clears: append-only and immutable. */
  readonly guarded: number;
  /** The flag that the project of a directory is inherited. */
  readonly inheritsProject: number;
  /** Where the project's number is, if this form has it. */
  readonly projectAt: number | null;
}

const FORMS: readonly FlagsForm[] = [
  // FS_IOC_GETFLAGS, FS_IOC_SETFLAGS, FS_APPEND_FL | FS_IMMUTABLE_FL, FS_PROJINHERIT_FL
  { get: 0x80086601, set: 0x40086602, guarded: 0x30, inheritsProject: 0x20000000, projectAt: null },
  // FS_IOC_FSGETXATTR, FS_IOC_FSSETXATTR, FS_XFLAG_IMMUTABLE | FS_XFLAG_APPEND, FS_XFLAG_PROJINHERIT; fsx_projid
  { get: 0x801c581f, set: 0x401c5820, guarded: 0x18, inheritsProject: 0x200, projectAt: 12 },
];

/** Carries out a flags ioctl for a caller; `value` is what it takes or gives. Answers 0 or a negated errno. */
export function controlFlags(
  union: Union,
  node: OverlayNode,
  command: number,
  value: Buffer,
  by: Caller,
): Errno {
  if (node.type !== S_IFREG && node.type !== S_IFDIR) return -ENOTTY;
  const change = FORMS.find(({ set }) => set === command);
  if (change === undefined) return carryOut(union, node, command, value);
  const allowed = mayChange(union, node, change, value, by);
  if (allowed < 0) return allowed;
  const copied = copyUpMetadata(union, node);
  const status = copied < 0 ? copied : carryOut(union, node, command, value);
  // What was open before may be opened differently now (chattr +a, +i).
  if (!node.isDirectory()) union.files.forget(node);
  return status;
}

/**
 * What vfs_fileattr_set and fileattr_set_prepare judge. Kernels before 5.13 leave it to the server, whose own
 * call may change whatever it likes.
 */
function mayChange(union: Union, node: OverlayNode, form: FlagsForm, wanted: Buffer, by: Caller): Errno {
  const stat = new Stat();
  const found = getAttributes(union, node, stat);
  if (found < 0) return found;
  if (!isOwnerOrCapable(by, stat.uid)) return -EPERM;
  const present = Buffer.alloc(wanted.length);
  const read = carryOut(union, node, form.get, present);
  if (read < 0) return read;
  const changed = present.readUInt32LE(0) ^ wanted.readUInt32LE(0);
  if ((changed & form.guarded) !== 0 && !isCapable(by, CAP_LINUX_IMMUTABLE)) return -EPERM;
  const { projectAt } = form;
  const isOtherProject =
    projectAt !== null && present.readUInt32LE(projectAt) !== wanted.readUInt32LE(projectAt);
  const changesProject = isOtherProject || (changed & form.inheritsProject) !== 0;
  return changesProject && !isInFirstNamespace(by) ? -EINVAL : 0;
}

function carryOut(union: Union, node: OverlayNode, command: number, value: Buffer): Errno {
  const located = union.locate(node, union.place);
  if (located < 0) return located;
  const fd = openAt(union.place.fd, union.place.name, O_RDONLY | O_NONBLOCK);
  if (fd < 0) return gone(fd);
  const status = control(fd, command, value);
  close(fd);
  return Math.min(status, 0);
}
