// SPDX-License-Identifier: MIT
/**
 * Copying a file's data from a lower layer to the upper: shared where the file
 * system can (FICLONE), else copied inside the kernel (copy_file_range), else by
 * read and write. Holes stay holes.
 */
import { EINVAL, ENOSYS, ENXIO, EOPNOTSUPP, EPERM, type Errno, EXDEV } from '../../base/errno.js';
import {
  cloneData,
  close,
  copyRange,
  O_NOATIME,
  O_RDONLY,
  openAt,
  readFully,
  SEEK_DATA,
  SEEK_HOLE,
  seek,
  truncate,
  writeFully,
} from '../../sys/files.js';
import { Stat, statFd } from '../../sys/stat.js';
import { gone, type Place } from '../nodes/union.js';

/** Bytes asked of one copy_file_range(2): who watches a long copy is to see that it goes on. */
const LARGEST_RANGE = 64 << 20;
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

/** Shares a lower file's data with an open empty one, where the file system can. Answers whether it did. */
export function shareFileData(source: Place, to: number): boolean {
  const from = openAt(source.fd, source.name, O_RDONLY);
  if (from < 0) return false;
  const shared = cloneData(from, to) === 0;
  close(from);
  return shared;
}

/** Copies a lower file's data into an open empty file, at most `size` bytes of it. */
export function copyFileData(source: Place, to: number, size: number): Errno {
  const stat = new Stat();
  let from = openAt(source.fd, source.name, O_RDONLY | O_NOATIME);
  // O_NOATIME is for the owner and for CAP_FOWNER only.
  if (from === -EPERM) from = openAt(source.fd, source.name, O_RDONLY);
  const found = from < 0 ? from : statFd(from, stat);
  if (found < 0) return gone(found);
  const status = copyData({
    from,
    to,
    size: Math.min(size, stat.size),
    sourceSize: stat.size,
    sparse: stat.blocks * 512 < stat.size,
  });
  close(from);
  return status;
}

/** Copies the first `size` bytes into an empty file. Answers 0 or a negated errno. */
function copyData(copy: DataCopy): Errno {
  if (copy.size === 0) return 0;
  if (copy.size >= copy.sourceSize && cloneData(copy.from, copy.to) === 0) return 0;
  const status = copy.sparse ? copySparse(copy) : copySpan(copy.from, copy.to, 0, copy.size);
  if (status < 0) return status;
  return truncate(copy.to, copy.size);
}

function copySparse(copy: DataCopy): Errno {
  for (let at = 0; at < copy.size; ) {
    const data = seek(copy.from, at, SEEK_DATA);
    if (data === -ENXIO) return 0;
    if (data < 0) return copySpan(copy.from, copy.to, at, copy.size);
    const hole = seek(copy.from, data, SEEK_HOLE);
    const end = hole < 0 ? copy.size : Math.min(hole, copy.size);
    const status = copySpan(copy.from, copy.to, data, end);
    if (status < 0) return status;
    at = end;
  }
  return 0;
}

/** Copies the bytes from `start` to `end` to the same place. Answers 0 or a negated errno. */
export function copySpan(from: number, to: number, start: number, end: number): Errno {
  for (let at = start; at < end; ) {
    const count = copyRange(from, at, to, at, Math.min(end - at, LARGEST_RANGE));
    if (count === 0) return 0;
    if (count === -EXDEV || count === -EINVAL || count === -ENOSYS || count === -EOPNOTSUPP) {
      return copyByHand(from, to, at, end);
    }
    if (count < 0) return count;
    at += count;
  }
  return 0;
}

function copyByHand(from: number, to: number, start: number, end: number): Errno {
  const buffer = Buffer.allocUnsafeSlow(Math.min(BUFFER_SIZE, end - start));
  for (let at = start; at < end; ) {
    const got = readFully(from, buffer, Math.min(buffer.length, end - at), at);
    if (got <= 0) return got;
    const put = writeFully(to, buffer, got, at);
    if (put < 0) return put;
    at += put;
  }
  return 0;
}
