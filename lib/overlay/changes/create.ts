// SPDX-License-Identifier: MIT
/**
 * New names: files, directories, symlinks, devices, hard links.
 *
 * Where the upper has nothing of that name the object is made in place: one
 * system call, and owner, group and default ACL come as the file system gives
 * them. Where a whiteout lies there, the object is made ready in the work
 * directory and takes the whiteout's place by one rename, so that the lower name
 * it hides can never come through (ovl_create_over_whiteout in fs/overlayfs/dir.c).
 */
import type { ByteString } from '../../base/bytes.js';
import {
  EEXIST,
  EINVAL,
  ENAMETOOLONG,
  ENOENT,
  EPERM,
  EROFS,
  type Errno,
  type FdOrErrno,
} from '../../base/errno.js';
import { Rollback } from '../../base/rollback.js';
import { makeDirectory, makeNode, makeSymlink, RENAME_EXCHANGE, splitDevice } from '../../sys/entries.js';
import { NAME_MAX } from '../../sys/names.js';
import { S_IFCHR, S_IFDIR, S_IFLNK, S_IFMT } from '../../sys/stat.js';
import { copyUp } from '../copy-up/copy-up.js';
import { type Creator, createAs } from '../copy-up/credentials.js';
import { ownNew, plainMode, statUpper } from '../copy-up/ownership.js';
import { moveAsOwner } from '../formats/as-owner.js';
import { WHITEOUT_DEVICE } from '../formats/marks.js';
import { RealDirectory } from '../layers/layer.js';
import { isReserved, makeOpaque, removeFileWhiteout } from '../names/file-whiteouts.js';
import { findNode } from '../names/lookup.js';
import { requireWhiteout } from '../names/whiteouts.js';
import { CREATE, declare, declared } from '../nodes/declare.js';
import { addEntry, startListing } from '../nodes/entries.js';
import { UPPER } from '../nodes/file-content.js';
import { type Measured, unmeasured } from '../nodes/measured.js';
import { attach, type DirectoryNode, type FileNode, type OverlayNode } from '../nodes/node.js';
import { settle } from '../nodes/references.js';
import { gone, type Union } from '../nodes/union.js';
import { inheritingDirectory } from './inherit.js';

/** What to make. */
export interface Creation {
  /** File type (S_IF*) and permission bits, before the umask. */
  mode: number;
  /** Of a device file, as makedev(3) composes it. */
  device: number;
  /** Of a symlink. */
  target: ByteString;
  creator: Creator;
}

/**
 * Makes a new object; answers its node without a reference, or -EEXIST, or another negated errno.
 * `measured` says what was read of it.
 */
export function createNode(
  union: Union,
  parent: DirectoryNode,
  name: ByteString,
  creation: Creation,
  measured = unmeasured,
): OverlayNode | Errno {
  // Made by hand a whiteout would hide, not be (ovl_mknod).
  if ((creation.mode & S_IFMT) === S_IFCHR && creation.device === WHITEOUT_DEVICE) return -EPERM;
  const again = declared(union, 'create') !== null;
  const dir = prepareParent(union, parent, name, again);
  if (dir < 0) return dir;
  if (!again) declare(union, CREATE);
  let status = makeOwned(union, parent, dir, name, creation);
  const type = creation.mode & S_IFMT;
  if (status === -EEXIST) {
    status = createOverWhiteout(union, parent, name, creation);
    if (status === -EEXIST && again) status = finishCreation(union, parent, dir, name, creation);
  } else if (status === 0 && type === S_IFDIR) status = closeNewDirectory(union, parent, dir, name);
  if (status >= 0) status = uncover(union, parent, name);
  if (status < 0) return status;
  return adopt(union, parent, name, measured);
}

/** An earlier server has made the object and may not have come to what follows. */
function finishCreation(
  union: Union,
  parent: DirectoryNode,
  dir: number,
  name: ByteString,
  creation: Creation,
): Errno {
  const status = makeOwned(union, parent, dir, name, creation, () => 0);
  return status < 0 || (creation.mode & S_IFMT) !== S_IFDIR
    ? status
    : closeNewDirectory(union, parent, dir, name);
}

/** A union that hides by files takes the file away once the name is in use again. */
export function uncover(union: Union, parent: DirectoryNode, name: ByteString): Errno {
  return union.work!.ways.form === 'file' ? removeFileWhiteout(union, parent, name) : 0;
}

/**
 * A new directory in a merged one is marked opaque, so that no lower layer put
 * below this upper later can add to it; not where layers are kept free to be
 * changed while unmounted (ovl_allow_offline_changes).
 */
function closeNewDirectory(union: Union, parent: DirectoryNode, dir: number, name: ByteString): Errno {
  const { redirects, metacopy } = union.features;
  const closes = redirects === 'on' || union.index !== null || metacopy || union.work!.ways.form === 'file';
  return parent.merges && closes ? makeOpaque(union, dir, name) : 0;
}

/**
 * Checks that the name is free and the parent writable; answers a descriptor of its upper
 * directory. `again`: it was found to be free before, and what is there now may be ours.
 */
export function prepareParent(
  union: Union,
  parent: DirectoryNode,
  name: ByteString,
  again = false,
): FdOrErrno {
  if (!union.writable) return -EROFS;
  if (parent.dead) return -ENOENT;
  if (name.length > NAME_MAX) return -ENAMETOOLONG;
  if (isReserved(union, name)) return -EINVAL;
  // Where no lower shows through, the system call itself finds out whether the name is taken; an intent needs it before.
  if (!again && (parent.merges || parent.complete || union.journal !== null)) {
    const existing = findNode(union, parent, name);
    if (typeof existing !== 'number') {
      settle(union, existing);
      return -EEXIST;
    }
    if (existing !== -ENOENT) return existing;
  }
  const status = copyUp(union, parent);
  if (status < 0) return status;
  return gone(union.directories.of(parent.upper!));
}

/** Makes an object that is its creator's. Precondition: the parent is in the upper. */
export function makeOwned(
  union: Union,
  parent: DirectoryNode,
  dir: number,
  name: ByteString,
  creation: Creation,
  makeIt = make,
): Errno {
  const { creator, device } = creation;
  const mode = plainMode(union, creation.mode);
  if (mode === undefined) {
    return createAs(union.features.ids, creator, dir, name, () => makeIt(dir, name, creation));
  }
  const made = makeIt(dir, name, { ...creation, mode, device: 0 });
  if (made < 0) return made;
  const { major: deviceMajor, minor: deviceMinor } = splitDevice(device);
  const above = union.directories.of(parent.upper!);
  return ownNew(union, above, dir, name, { mode: creation.mode, deviceMajor, deviceMinor, creator });
}

function make(dir: number, name: ByteString, { mode, device, target }: Creation): Errno {
  switch (mode & S_IFMT) {
    case S_IFDIR:
      return makeDirectory(dir, name, mode & 0o7777);
    case S_IFLNK:
      return makeSymlink(dir, name, target);
    default:
      return makeNode(dir, name, mode, device);
  }
}

function createOverWhiteout(
  union: Union,
  parent: DirectoryNode,
  name: ByteString,
  creation: Creation,
): Errno {
  const hidden = requireWhiteout(union, parent.upper!, name);
  if (hidden < 0) return hidden;
  const dir = union.directories.of(parent.upper!);
  const work = union.work!;
  using undo = new Rollback();
  const inheriting = inheritingDirectory(union, parent, undo);
  if (inheriting.fd < 0) return inheriting.fd;
  const staged = work.temporaryName();
  const made = makeOwned(union, parent, inheriting.fd, staged, creation);
  if (made < 0) return made;
  const isDirectory = (creation.mode & S_IFMT) === S_IFDIR;
  // Back in the work directory, whether it goes to its place or stays behind.
  if (inheriting.fd !== work.fd) {
    const moved = moveAsOwner(inheriting.fd, staged, work.fd, staged);
    if (moved < 0) return moved;
  }
  undo.push(() => void (isDirectory ? work.discardTree(staged) : work.discard(staged)));
  if (!isDirectory) {
    const placed = moveAsOwner(work.fd, staged, dir, name);
    if (placed === 0) undo.commit();
    return placed === 0 ? inheriting.remove() : placed;
  }
  const marked = makeOpaque(union, work.fd, staged);
  if (marked < 0) return marked;
  // A directory cannot be renamed over a whiteout, but it can change places with it.
  const exchanged = moveAsOwner(work.fd, staged, dir, name, RENAME_EXCHANGE);
  if (exchanged < 0) return exchanged;
  undo.commit();
  const discarded = work.discard(staged);
  return discarded < 0 ? discarded : inheriting.remove();
}

/** Makes the node of an object that has just appeared in the upper. */
function adopt(
  union: Union,
  parent: DirectoryNode,
  name: ByteString,
  measured: Measured,
): OverlayNode | Errno {
  const { stat } = measured;
  const dir = union.directories.of(parent.upper!);
  const status = dir < 0 ? dir : statUpper(union, dir, name, stat);
  if (status < 0) return gone(status);
  const node = stat.isDirectory ? adoptDirectory(union, parent, name) : adoptFile(union, stat.type);
  union.numbers.numberBy(node, stat);
  const entry = addEntry(union, parent, name, stat.type);
  entry.places = [0];
  attach(entry, node);
  if (!node.isDirectory()) measured.file = node;
  return node;
}

function adoptFile(union: Union, type: number): FileNode {
  const node = union.nodes.addFile(type, UPPER);
  node.lacksCapability = true;
  return node;
}

function adoptDirectory(union: Union, parent: DirectoryNode, name: ByteString): DirectoryNode {
  const node = union.nodes.addDirectory();
  node.upper = new RealDirectory(union.upper!, parent.upper, name);
  node.impure = false;
  startListing(union, node);
  return node;
}
