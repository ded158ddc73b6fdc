// SPDX-License-Identifier: MIT
/**
 * Copying a file's data from a lower layer to the upper: shared where the file
 * system can (FICLONE), else copied inside the kernel (copy_file_range), else by
 * read and write. Holes stay holes.
 */
import { EINVAL, ENOSYS, ENXIO, EOPNOTSUPP, type Errno, EXDEV } from '../base/errno.js';
import {
  cloneData,
  copyRange,
  readFully,
  SEEK_DATA,
  SEEK_HOLE,
  seek,
  truncate,
  writeFully,
} from '../sys/files.js';

/** As much as one copy_file_range(2) call may be asked for without the kernel cutting it short. */
const LARGEST_RANGE = 1 << 30;
const BUFFER_SIZE = 1 << 20;

export interface DataCopy {
  from: number;
  to: number;
  /** Bytes wanted; the source may be longer. */
  size: number;
  /** The source's whole size. */
  sourceSize: number;
  /** Whether the source may have holes. */
  sparse: boolean;
}

/** Copies the first `size` bytes into an empty file. Answers 0 or a negated errno. */
export function copyData(copy: DataCopy): Errno {
  if (copy.size === 0) return 0;
  if (copy.size >= copy.sourceSize && cloneData(copy.from, copy.to) === 0) return 0;
  const status = copy.sparse ? copySparse(copy) : copySpan(copy, 0, copy.size);
  if (status < 0) return status;
  return truncate(copy.to, copy.size);
}

function copySparse(copy: DataCopy): Errno {
  for (let at = 0; at < copy.size; ) {
    const data = seek(copy.from, at, SEEK_DATA);
    if (data === -ENXIO) return 0;
    if (data < 0) return copySpan(copy, at, copy.size);
    const hole = seek(copy.from, data, SEEK_HOLE);
    const end = hole < 0 ? copy.size : Math.min(hole, copy.size);
    const status = copySpan(copy, data, end);
    if (status < 0) return status;
    at = end;
  }
  return 0;
}

function copySpan(copy: DataCopy, start: number, end: number): Errno {
  for (let at = start; at < end; ) {
    const count = copyRange(copy.from, at, copy.to, at, Math.min(end - at, LARGEST_RANGE));
    if (count === 0) return 0;
    if (count === -EXDEV || count === -EINVAL || count === -ENOSYS || count === -EOPNOTSUPP) {
      return copyByHand(copy, at, end);
    }
    if (count < 0) return count;
    at += count;
  }
  return 0;
}

function copyByHand(copy: DataCopy, start: number, end: number): Errno {
  const buffer = Buffer.allocUnsafeSlow(Math.min(BUFFER_SIZE, end - start));
  for (let at = start; at < end; ) {
    const got = readFully(copy.from, buffer, Math.min(buffer.length, end - at), at);
    if (got <= 0) return got;
    const put = writeFully(copy.to, buffer, got, at);
    if (put < 0) return put;
    at += put;
  }
  return 0;
}
