// SPDX-License-Identifier: MIT
/** `copyFile`: the data and mode of one file, by copy_file_range(2) of the engine where it can. */
import { constants } from 'node:fs';
import type { ByteString } from '../base/bytes.js';
import { EINVAL, EISDIR, EOPNOTSUPP, type Errno, EXDEV } from '../base/errno.js';
import { copyBetween } from '../overlay/data/data.js';
import { FileError } from './errors.js';
import { openFile } from './open.js';
import type { OpenFile } from './open-file.js';
import type { View } from './view.js';

const { COPYFILE_EXCL, COPYFILE_FICLONE_FORCE, O_CREAT, O_EXCL, O_RDONLY, O_WRONLY } = constants;
/** The most that one call takes, and what is copied at once where it cannot be used. */
const MOST = 2 ** 30;
const PIECE = 2 ** 20;

export function copyFile(view: View, from: ByteString, to: ByteString, mode: number): void {
  const failed = { syscall: 'copyfile', path: from, dest: to };
  if ((mode & COPYFILE_FICLONE_FORCE) !== 0) {
    throw new FileError(-EOPNOTSUPP, {
      ...failed,
      reason: 'an overlay does not promise to share blocks',
      remedy: 'use COPYFILE_FICLONE, or no flag',
    });
  }
  try {
    copy(view, from, to, (mode & COPYFILE_EXCL) !== 0);
  } catch (failure) {
    if (failure instanceof FileError && failure.syscall !== 'copyfile') {
      throw new FileError(failure.errno!, { ...failed, remedy: failure.remedy });
    }
    throw failure;
  }
}

function copy(view: View, from: ByteString, to: ByteString, isNew: boolean): void {
  const source = openFile(view, from, O_RDONLY);
  try {
    if (source.node('copyfile').isDirectory()) {
      throw new FileError(-EISDIR, { syscall: 'copyfile', path: from, dest: to });
    }
    const { mode, inode } = source.measure();
    const target = openFile(view, to, O_WRONLY | O_CREAT | (isNew ? O_EXCL : 0), mode & 0o7777);
    try {
      // Onto itself: nothing is to be done (uv__fs_copyfile).
      if (target.measure().inode === inode) return;
      target.truncate(0);
      target.change('fchmod', (change) => void (change.mode = mode & 0o7777));
      copyData(view, source, target);
    } finally {
      target.close();
    }
  } finally {
    source.close();
  }
}

function copyData(view: View, source: OpenFile, target: OpenFile): void {
  const [from, to] = [source.node('copyfile'), target.node('copyfile')];
  for (let at = 0; ; ) {
    const count = copyBetween(view.union, from, at, to, at, MOST);
    if (isUnavailable(count)) {
      copyPieces(source, target);
      return;
    }
    if (count < 0) throw new FileError(count, { syscall: 'copyfile' });
    if (count === 0) return;
    at += count;
  }
}

/** Between two file systems the kernel may not copy. */
function isUnavailable(status: Errno): boolean {
  return status === -EXDEV || status === -EINVAL || status === -EOPNOTSUPP;
}

function copyPieces(source: OpenFile, target: OpenFile): void {
  const piece = Buffer.allocUnsafe(PIECE);
  for (let at = 0; ; ) {
    const count = source.read(piece, at);
    if (count === 0) return;
    target.writeAll(piece.subarray(0, count), at);
    at += count;
  }
}
