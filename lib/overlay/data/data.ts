// SPDX-License-Identifier: MIT
/** File data: read, write, allocate, seek, copy, sync; and how full the file system is. */
import {
  EACCES,
  EINVAL,
  EIO,
  EISDIR,
  EPERM,
  EROFS,
  type Errno,
  type FdOrErrno,
  type SizeOrErrno,
} from '../../base/errno.js';
import type { Caller } from '../../sys/callers.js';
import {
  allocate,
  close,
  copyRange,
  O_APPEND,
  O_NOATIME,
  O_RDONLY,
  O_RDWR,
  openAt,
  readFully,
  seek,
  syncData,
  syncFile,
  syncFileSystem,
  writeFully,
} from '../../sys/files.js';
import { openReadable } from '../../sys/handles.js';
import { type FileSystemSize, statFileSystem } from '../../sys/mounts.js';
import { S_IFREG, Stat, statFd } from '../../sys/stat.js';
import { copyUp, copyUpLazily, isInUpper } from '../copy-up/copy-up.js';
import { completeCopies, completeCopy, isAwaited, readLazily, writeLazily } from '../copy-up/lazy-copy.js';
import { asOwner } from '../formats/as-owner.js';
import { resolveData } from '../names/file-lookup.js';
import type { FileNode, OverlayNode } from '../nodes/node.js';
import { gone, type Place, type Union } from '../nodes/union.js';
import { killPrivileges, killPrivilegesUnlessCapable } from './privileges.js';

/**
 * A descriptor for the file's data, from the cache or newly opened. It stays the
 * cache's: the caller uses it at once and does not close it. Or a negated errno.
 */
export function openData(union: Union, node: OverlayNode, forWriting: boolean): FdOrErrno {
  if (node.isDirectory()) return -EISDIR;
  if (node.type !== S_IFREG) return -EINVAL;
  if (node.data.kind === 'lazy') {
    const status = completeCopy(union, node);
    if (status < 0) return status;
  }
  const known = union.files.find(node, forWriting);
  if (known !== undefined) return known;
  if (forWriting) {
    const status = copyUp(union, node);
    if (status < 0) return status;
  }
  const resolved = resolveData(union, node);
  if (resolved < 0) return resolved;
  if (isAwaited(union, node)) return -EIO;
  const writable = isInUpper(node) && node.data.kind === 'own' && union.writable;
  if (forWriting && !writable) return -EROFS;
  const { place } = union;
  const located = union.locateData(node, place);
  if (located < 0) return located;
  return writable
    ? openToWrite(union, node, place, forWriting)
    : keepOpen(union, node, openToRead(place), false);
}

function keepOpen(union: Union, node: FileNode, fd: number, writable: boolean): FdOrErrno {
  if (fd < 0) return gone(fd);
  union.files.keep(node, fd, writable, false);
  return fd;
}

/** Opens a file of the upper so that it can be written, or to be read alone where that is all that can be done. */
function openToWrite(union: Union, node: FileNode, place: Place, forWriting: boolean): FdOrErrno {
  let fd = openAt(place.fd, place.name, O_RDWR);
  if (fd === -EPERM) return openFlagged(union, node, place, forWriting);
  // The file system is read-only, perhaps since an error on its disk; or the mode refuses it to an ordinary user.
  if (!forWriting && (fd === -EROFS || fd === -EACCES)) {
    const readable = openToRead(place);
    if (readable !== -EACCES) return keepOpen(union, node, readable, false);
  }
  if (fd === -EACCES) fd = asOwner(place.fd, place.name, () => openAt(place.fd, place.name, O_RDWR));
  return keepOpen(union, node, fd, true);
}

function openToRead({ fd: directory, name }: Place): FdOrErrno {
  const fd = openAt(directory, name, O_RDONLY | O_NOATIME);
  // O_NOATIME is for the owner and for CAP_FOWNER only.
  return fd === -EPERM ? openAt(directory, name, O_RDONLY) : fd;
}

/**
 * A file that refuses to be opened for writing is append-only or immutable
 * (chattr(1)): the first still opens with O_APPEND, the second to be read (may_open
 * in fs/namei.c).
 */
function openFlagged(union: Union, node: FileNode, place: Place, forWriting: boolean): FdOrErrno {
  let fd = openAt(place.fd, place.name, O_RDWR | O_APPEND);
  const appendOnly = fd >= 0;
  if (fd === -EPERM && !forWriting) fd = openToRead(place);
  if (fd < 0) return gone(fd);
  union.files.keep(node, fd, appendOnly, appendOnly);
  return fd;
}

/** Reads up to `size` bytes at `offset`; answers the bytes read, fewer only at the end of the file. */
export function readData(
  union: Union,
  node: OverlayNode,
  buffer: Uint8Array,
  size: number,
  offset: number,
): SizeOrErrno {
  if (!node.isDirectory() && node.data.kind === 'lazy') return readLazily(node.data, buffer, size, offset);
  const fd = openData(union, node, false);
  return fd < 0 ? fd : readFully(fd, buffer, size, offset);
}

/** Writes `size` bytes at `offset`, copying up first; answers the bytes written. `unprivileged`: who writes, if he may not keep setuid. */
export function writeData(
  union: Union,
  node: OverlayNode,
  buffer: Uint8Array,
  size: number,
  offset: number,
  unprivileged: Caller | null = null,
): SizeOrErrno {
  const count = putData(union, node, buffer, size, offset);
  if (count < 0 || unprivileged === null) return count;
  const status = killPrivileges(union, node as FileNode, unprivileged);
  return status < 0 ? status : count;
}

function putData(
  union: Union,
  node: OverlayNode,
  buffer: Uint8Array,
  size: number,
  offset: number,
): SizeOrErrno {
  if (union.features.lazyCopyUp && node.type === S_IFREG && size > 0) {
    const file = node as FileNode;
    const status = copyUpLazily(union, file);
    if (status < 0) return status;
    if (file.data.kind === 'lazy') return writeLazily(file.data, buffer, size, offset);
  }
  const fd = openData(union, node, true);
  if (fd < 0) return fd;
  if (union.files.isAppendOnly(node as FileNode)) return append(fd, buffer, size, offset);
  return writeFully(fd, buffer, size, offset);
}

/** The kernel does not know that the file is append-only here, so a write that would change what is there is refused here. */
function append(fd: number, buffer: Uint8Array, size: number, offset: number): SizeOrErrno {
  const stat = new Stat();
  const status = statFd(fd, stat);
  if (status < 0) return status;
  return offset === stat.size ? writeFully(fd, buffer, size, offset) : -EPERM;
}

/** fallocate(2) with its mode flags, as far as the upper's file system has them. */
export function allocateData(
  union: Union,
  node: OverlayNode,
  mode: number,
  offset: number,
  size: number,
  by: Caller | null = null,
): Errno {
  const fd = openData(union, node, true);
  if (fd < 0) return fd;
  const status = allocate(fd, mode, offset, size);
  return status < 0 ? status : killPrivilegesUnlessCapable(union, node as FileNode, by);
}

/** lseek(2) with SEEK_DATA or SEEK_HOLE; answers the offset. */
export function seekData(union: Union, node: OverlayNode, offset: number, whence: number): SizeOrErrno {
  const fd = openData(union, node, false);
  return fd < 0 ? fd : seek(fd, offset, whence);
}

/** copy_file_range(2) from one file to another; answers the bytes copied. */
export function copyBetween(
  union: Union,
  from: OverlayNode,
  fromAt: number,
  to: OverlayNode,
  toAt: number,
  size: number,
  by: Caller | null = null,
): SizeOrErrno {
  const target = openData(union, to, true);
  if (target < 0) return target;
  const source = openData(union, from, false);
  if (source < 0) return source;
  const count = copyRange(source, fromAt, target, toAt, size);
  if (count < 0) return count;
  const status = killPrivilegesUnlessCapable(union, to as FileNode, by);
  return status < 0 ? status : count;
}

/** Makes a file or directory durable. What is only in a lower layer is. */
export function syncNode(union: Union, node: OverlayNode, dataOnly: boolean): Errno {
  if (!union.features.sync || !isInUpper(node)) return 0;
  if (node.isDirectory()) return syncDirectory(union.directories.of(node.upper!));
  if (node.type !== S_IFREG) return 0;
  const resolved = resolveData(union, node);
  if (resolved < 0) return resolved;
  if (node.data.kind === 'below') return dataOnly ? 0 : syncMetacopy(union, node);
  const fd = openData(union, node, false);
  if (fd < 0) return fd;
  return dataOnly ? syncData(fd) : syncFile(fd);
}

/** The data is in a lower layer, where it is; what was changed is in the upper (ovl_fsync). */
function syncMetacopy(union: Union, node: OverlayNode): Errno {
  const { place } = union;
  const located = union.locate(node, place);
  const fd = located < 0 ? located : openAt(place.fd, place.name, O_RDONLY);
  if (fd < 0) return gone(fd);
  const status = syncFile(fd);
  close(fd);
  return status;
}

function syncDirectory(directory: number): Errno {
  const fd = directory < 0 ? directory : openReadable(directory);
  if (fd < 0) return gone(fd);
  const status = syncFile(fd);
  close(fd);
  return status;
}

/** Makes everything that was written durable (syncfs(2) of the upper). */
export function syncAll(union: Union): Errno {
  const copied = completeCopies(union);
  if (copied < 0) return copied;
  if (!union.features.sync || union.upper === null) return 0;
  const fd = openReadable(union.upper.fd);
  if (fd < 0) return gone(fd);
  const status = syncFileSystem(fd);
  close(fd);
  return status;
}

/** Sizes of the file system that takes the writes, or of the top lower's; or a negated errno. */
export function fileSystemSize(union: Union): FileSystemSize | Errno {
  return statFileSystem((union.upper ?? union.lowers[0]).fd);
}
