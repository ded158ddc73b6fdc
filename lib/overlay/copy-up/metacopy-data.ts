// SPDX-License-Identifier: MIT
/** Copies of metadata alone are made, and get their data later. */
import type { ByteString } from '../../base/bytes.js';
import type { Errno } from '../../base/errno.js';
import { close, O_RDWR, openAt, syncFile } from '../../sys/files.js';
import { removeXattr, setXattr } from '../../sys/xattrs.js';
import type { FileNode } from '../nodes/node.js';
import { gone, type Union } from '../nodes/union.js';
import { copyFileData } from './copy-data.js';

/** Marks a file that was made in the work directory, and gives it the size that it will have. */
export function markMetacopy(union: Union, staged: ByteString): Errno {
  return setXattr(union.work!.fd, staged, union.marks.metacopy, Buffer.alloc(0));
}

/**
 * Brings the data into an upper file that has its metadata only. The mark goes
 * last: until then, also after a kill, the file is what it was.
 */
export function copyUpData(union: Union, node: FileNode, size: number): Errno {
  const { place } = union;
  const data = node.data!;
  const from = union.directories.of(data.directory);
  if (from < 0) return gone(from);
  const located = union.locate(node, place);
  if (located < 0) return located;
  const { fd: dir, name } = place;
  const to = openAt(dir, name, O_RDWR);
  if (to < 0) return gone(to);
  let status = copyFileData({ fd: from, name: data.name }, to, size);
  if (status >= 0 && union.features.sync) status = syncFile(to);
  close(to);
  if (status >= 0) status = removeXattr(dir, name, union.marks.metacopy);
  if (status < 0) return status;
  node.data = null;
  union.files.forget(node);
  return 0;
}
