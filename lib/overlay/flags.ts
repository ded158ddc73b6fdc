// SPDX-License-Identifier: MIT
/** Inode flags (chattr(1)): FS_IOC_GETFLAGS and FS_IOC_SETFLAGS of the file where it is. */
import { ENOTTY, type Errno } from '../base/errno.js';
import { close, control, O_NONBLOCK, O_RDONLY, openAt } from '../sys/files.js';
import { S_IFDIR, S_IFREG } from '../sys/stat.js';
import { copyUp } from './copy-up.js';
import type { OverlayNode } from './node.js';
import { gone, type Union } from './union.js';

const FS_IOC_GETFLAGS = 0x80086601;
const FS_IOC_SETFLAGS = 0x40086602;

/** The flags, or a negated errno. */
export function getFlags(union: Union, node: OverlayNode): number {
  const value = Buffer.alloc(8);
  const status = onFile(union, node, FS_IOC_GETFLAGS, value);
  return status < 0 ? status : value.readUInt32LE(0);
}

export function setFlags(union: Union, node: OverlayNode, flags: number): Errno {
  const copied = copyUp(union, node);
  if (copied < 0) return copied;
  const value = Buffer.alloc(8);
  value.writeUInt32LE(flags, 0);
  return onFile(union, node, FS_IOC_SETFLAGS, value);
}

function onFile(union: Union, node: OverlayNode, request: number, value: Buffer): Errno {
  if (node.type !== S_IFREG && node.type !== S_IFDIR) return -ENOTTY;
  const located = union.locate(node, union.place);
  if (located < 0) return located;
  const fd = openAt(union.place.fd, union.place.name, O_RDONLY | O_NONBLOCK);
  if (fd < 0) return gone(fd);
  const status = control(fd, request, value);
  close(fd);
  return status;
}
