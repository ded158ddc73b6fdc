// SPDX-License-Identifier: MIT
/** Copies of metadata alone are made, and get their data later. */
import type { ByteString } from '../../base/bytes.js';
import type { Errno } from '../../base/errno.js';
import { close, O_RDWR, openAt, syncFile } from '../../sys/files.js';
import { removeXattr } from '../../sys/xattrs.js';
import { setMark } from '../formats/as-owner.js';
import { type LowerPlace, OWN } from '../nodes/file-content.js';
import type { FileNode } from '../nodes/node.js';
import { gone, type Union } from '../nodes/union.js';
import { copyFileData } from './copy-data.js';

/** Marks a file that was made in the work directory, and gives it the size that it will have. */
export function markMetacopy(union: Union, staged: ByteString): Errno {
  return setMark(union.work!.fd, staged, union.marks.metacopy, Buffer.alloc(0));
}

/**
 * Brings the data from its lower file into an upper one that has its metadata only. The mark goes
 * last: until then, also after a kill, the file is what it was.
 */
export function copyUpData(union: Union, node: FileNode, source: LowerPlace, size: number): Errno {
  const { place } = union;
  const from = union.directories.of(source.directory);
  if (from < 0) return gone(from);
  const located = union.locate(node, place);
  if (located < 0) return located;
  const { fd: dir, name } = place;
  const to = openAt(dir, name, O_RDWR);
  if (to < 0) return gone(to);
  let status = copyFileData({ fd: from, name: source.name }, to, size);
  if (status >= 0 && union.features.sync) status = syncFile(to);
  close(to);
  if (status >= 0) status = removeXattr(dir, name, union.marks.metacopy);
  if (status < 0) return status;
  node.data = OWN;
  union.files.forget(node);
  return 0;
}
