// SPDX-License-Identifier: MIT
/**
 * A private view of a directory tree (open_tree(2), mount_setattr(2), Linux 5.2
 * and 5.12): a detached mount of just this file system, without what is mounted
 * below it, as overlayfs makes one of each layer (clone_private_mount). It goes
 * when its last descriptor is closed. Needs CAP_SYS_ADMIN; callers fall back to
 * the plain directory.
 */
import { raw, result } from './libc.js';
import { ownedArgument } from './names.js';

const SYS_OPEN_TREE = 428;
const SYS_MOUNT_SETATTR = 442;
const AT_FDCWD = -100;
const AT_EMPTY_PATH = 0x1000;
const OPEN_TREE_CLONE = 1;
const OPEN_TREE_CLOEXEC = 0o2000000;
const MOUNT_ATTR_RDONLY = 1;
const MOUNT_ATTR_NOATIME = 0x10;
const MOUNT_ATTR__ATIME = 0x70;
const SIZEOF_MOUNT_ATTR = 32;

/** Answers a descriptor or a negated errno. */
export function cloneTree(path: string, readOnly: boolean): number {
  const flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC;
  const fd = result(raw.syscall5(SYS_OPEN_TREE, AT_FDCWD, ownedArgument(path), flags, null, 0));
  if (fd < 0) return fd;
  const attributes = Buffer.alloc(SIZEOF_MOUNT_ATTR);
  attributes.writeUInt32LE(MOUNT_ATTR_NOATIME | (readOnly ? MOUNT_ATTR_RDONLY : 0), 0);
  attributes.writeUInt32LE(MOUNT_ATTR__ATIME, 8);
  const status = result(
    raw.syscall5(SYS_MOUNT_SETATTR, fd, ownedArgument(''), AT_EMPTY_PATH, attributes, SIZEOF_MOUNT_ATTR),
  );
  if (status < 0) {
    raw.close(fd);
    return status;
  }
  return fd;
}
