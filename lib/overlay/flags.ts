// SPDX-License-Identifier: MIT
/**
 * Inode flags (chattr(1)) of the file where it is; what they forbid, the upper's
 * file system forbids. To set flags the kernel first asks for them in the longer
 * form (vfs_fileattr_set in fs/file_attr.c), so both forms are passed on.
 */
import { ENOTTY, type Errno } from '../base/errno.js';
import { close, control, O_NONBLOCK, O_RDONLY, openAt } from '../sys/files.js';
import { S_IFDIR, S_IFREG } from '../sys/stat.js';
import { copyUpMetadata } from './copy-up.js';
import type { OverlayNode } from './node.js';
import { gone, type Union } from './union.js';

/** Carries out a flags ioctl; `value` is what it takes or gives. Answers 0 or a negated errno. */
export function controlFlags(
  union: Union,
  node: OverlayNode,
  command: number,
  value: Buffer,
  changes: boolean,
): Errno {
  if (node.type !== S_IFREG && node.type !== S_IFDIR) return -ENOTTY;
  const copied = changes ? copyUpMetadata(union, node) : 0;
  if (copied < 0) return copied;
  const located = union.locate(node, union.place);
  if (located < 0) return located;
  const fd = openAt(union.place.fd, union.place.name, O_RDONLY | O_NONBLOCK);
  if (fd < 0) return gone(fd);
  const status = control(fd, command, value);
  close(fd);
  // What was open before may be opened differently now (chattr +a, +i).
  if (changes && !node.isDirectory()) union.files.forget(node);
  return Math.min(status, 0);
}
