// SPDX-License-Identifier: MIT
/** open(2): which file a path and flags mean, made where it is to be made (path_openat, may_open in fs/namei.c). */
import { constants } from 'node:fs';
import type { ByteString } from '../base/bytes.js';
import {
  EACCES,
  EEXIST,
  EINVAL,
  EISDIR,
  ELOOP,
  ENOENT,
  ENOTDIR,
  ENXIO,
  EOPNOTSUPP,
  EROFS,
  type Errno,
} from '../base/errno.js';
import { createNode } from '../overlay/changes/create.js';
import { createUnnamed } from '../overlay/changes/create-unnamed.js';
import { ownCreator } from '../overlay/copy-up/credentials.js';
import { type Found, releaseFound } from '../overlay/names/walk.js';
import type { OverlayNode } from '../overlay/nodes/node.js';
import { acquire } from '../overlay/nodes/references.js';
import { O_TMPFILE } from '../sys/files.js';
import { S_IFDIR, S_IFLNK, S_IFREG, S_IFSOCK } from '../sys/stat.js';
import { done, type Failed, FileError, value } from './errors.js';
import { isName } from './names.js';
import { OpenFile } from './open-file.js';
import { permits } from './permissions.js';
import type { View } from './view.js';

const { O_CREAT, O_DIRECT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_RDONLY, O_RDWR, O_TRUNC, O_WRONLY } = constants;
const { R_OK, W_OK } = constants;

/** Opens a file; `mode` is for one that is made. */
export function openFile(view: View, path: ByteString, flags: number, mode = 0o666): OpenFile {
  const failed = { syscall: 'open', path };
  const makes = (flags & O_CREAT) !== 0;
  if ((flags & O_DIRECT) !== 0) {
    done(-EINVAL, { ...failed, remedy: 'leave O_DIRECT out, or mount the overlay' });
  }
  if ((flags & O_TMPFILE) === O_TMPFILE) return openUnnamed(view, path, flags, mode);
  // With O_EXCL a symlink in the way is what is there (open(2)).
  const follows = (flags & O_NOFOLLOW) === 0 && !(makes && (flags & O_EXCL) !== 0);
  const found = view.find(path, follows, failed);
  try {
    const made = makes ? make(view, found, flags, mode, failed) : undefined;
    const node = made ?? value(found.node, failed);
    // What was just made is its maker's, whatever its mode says.
    if (made === undefined) done(judge(view, node, flags), judged(node, failed));
    acquire(node);
    const file = new OpenFile(view, node, flags);
    if (made === undefined && (flags & O_TRUNC) !== 0 && file.isRegular) truncate(view, file, failed);
    return file;
  } finally {
    releaseFound(view.union, found);
  }
}

function truncate(view: View, file: OpenFile, failed: Failed): void {
  try {
    view.changeNode(file.node('open'), failed, (change) => void (change.size = 0));
  } catch (failure) {
    file.close();
    throw failure;
  }
}

/** The file that O_CREAT makes; undefined where there is one. */
function make(
  view: View,
  { parent, name, slashed, node }: Found,
  flags: number,
  mode: number,
  failed: Failed,
): OverlayNode | undefined {
  if (slashed && isName(name)) done(-EISDIR, failed);
  if (typeof node !== 'number') {
    if ((flags & O_EXCL) !== 0) done(-EEXIST, failed);
    return undefined;
  }
  if (node !== -ENOENT) done(node, failed);
  if ((flags & O_DIRECTORY) !== 0) done(-EINVAL, failed);
  const creation = { mode: S_IFREG | (mode & 0o7777), device: 0, target: '', creator: ownCreator() };
  return value(createNode(view.union, parent, name, creation), failed);
}

function judge(view: View, node: OverlayNode, flags: number): Errno {
  if (node.type === S_IFLNK) return -ELOOP;
  if ((flags & O_DIRECTORY) !== 0 && !node.isDirectory()) return -ENOTDIR;
  const access = flags & (O_WRONLY | O_RDWR);
  const writes = access !== O_RDONLY;
  const changes = writes || (flags & O_TRUNC) !== 0;
  if (node.type === S_IFDIR && (changes || (flags & O_CREAT) !== 0)) return -EISDIR;
  if (node.type === S_IFSOCK) return -ENXIO;
  const wanted = (access === O_WRONLY ? 0 : R_OK) | (changes ? W_OK : 0);
  if (!permits(view.measure(node, 'open'), wanted)) return -EACCES;
  if (node.type !== S_IFREG && node.type !== S_IFDIR) return -EOPNOTSUPP;
  return changes && !view.union.writable ? -EROFS : 0;
}

function judged(node: OverlayNode, failed: Failed): Failed {
  if (node.type === S_IFREG || node.type === S_IFDIR || node.type === S_IFLNK) return failed;
  return { ...failed, remedy: 'mount the overlay to use a device, a FIFO or a socket in it' };
}

function openUnnamed(view: View, path: ByteString, flags: number, mode: number): OpenFile {
  const failed = { syscall: 'open', path };
  if ((flags & (O_WRONLY | O_RDWR)) === O_RDONLY) done(-EINVAL, failed);
  return view.at(path, true, failed, (directory) => {
    if (!directory.isDirectory()) throw new FileError(-ENOTDIR, failed);
    const node = value(createUnnamed(view.union, directory, S_IFREG | mode, ownCreator()), failed);
    acquire(node);
    return new OpenFile(view, node, flags & ~O_TMPFILE);
  });
}
