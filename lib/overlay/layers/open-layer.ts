// SPDX-License-Identifier: MIT
/**
 * Layers: directories that were opened once and are never again reached by
 * their path. Where the kernel allows it a layer is a private, detached view of
 * its file system (clone_private_mount in fs/overlayfs/super.c does the same):
 * what is mounted below it stays out of the view, and a lower layer is read-only
 * by the kernel's own word.
 */
import { realpathSync } from 'node:fs';
import { dirname, relative } from 'node:path';
import { type ByteString, fromText } from '../../base/bytes.js';
import { ENOENT, ENOTDIR } from '../../base/errno.js';
import { OverlayError } from '../../base/errors.js';
import { close, O_DIRECTORY, O_PATH, openBeneath, openPath } from '../../sys/files.js';
import { fileSystemUuid, openReadable } from '../../sys/handles.js';
import { Stat, statFd, statPath } from '../../sys/stat.js';
import { cloneTree } from '../../sys/trees.js';
import { overrideOf } from '../formats/override-stat.js';
import { type Layer, RealDirectory } from './layer.js';

/** Opens a read-only layer. Throws an OverlayError that names it. */
export function openLower(path: string, index: number): Layer {
  requireDirectory(path, 'lower');
  const cloned = cloneTree(path, true);
  const fd = cloned >= 0 ? cloned : openPath(fromText(path), O_PATH | O_DIRECTORY);
  return finish(path, index, false, fd);
}

/** Opens a layer as it lies there, so that it can be changed. Throws an OverlayError that names it. */
export function openForRepair(path: string): Layer {
  requireDirectory(path, 'lower');
  return finish(path, 0, true, openPath(fromText(path), O_PATH | O_DIRECTORY));
}

export interface WritableLayer {
  upper: Layer;
  /** Descriptor of the work directory on the same mount as the upper: renames between mounts fail. */
  workFd: number;
}

/** Opens the upper and its work directory through one private view of the file system they share. */
export function openUpper(upperPath: string, workPath: string, override: ByteString | null): WritableLayer {
  requireDirectory(upperPath, 'upper');
  requireDirectory(workPath, 'work');
  const shared = openShared(upperPath, workPath);
  const upper = finish(upperPath, 0, true, shared.upperFd, override);
  return { upper, workFd: shared.workFd };
}

function openShared(upperPath: string, workPath: string): { upperFd: number; workFd: number } {
  const upper = realpathSync(upperPath);
  const work = realpathSync(workPath);
  const ancestor = commonAncestor(upper, work);
  if (mountOf(upper) === mountOf(ancestor) && mountOf(work) === mountOf(ancestor)) {
    const tree = cloneTree(ancestor, false);
    if (tree >= 0) {
      const upperFd = openBeneath(tree, below(ancestor, upper), O_PATH | O_DIRECTORY);
      const workFd = openBeneath(tree, below(ancestor, work), O_PATH | O_DIRECTORY);
      close(tree);
      return { upperFd, workFd };
    }
  }
  return {
    upperFd: openPath(fromText(upper), O_PATH | O_DIRECTORY),
    workFd: openPath(fromText(work), O_PATH | O_DIRECTORY),
  };
}

function below(ancestor: string, path: string): string {
  return fromText(relative(ancestor, path)) || '.';
}

function commonAncestor(a: string, b: string): string {
  let ancestor = dirname(a);
  while (ancestor !== '/' && b !== ancestor && !b.startsWith(`${ancestor}/`)) ancestor = dirname(ancestor);
  return ancestor;
}

function mountOf(path: string): number {
  const stat = new Stat();
  return statPath(fromText(path), stat) < 0 ? -1 : stat.mountId;
}

function requireDirectory(path: string, kind: 'lower' | 'upper' | 'work'): void {
  const stat = new Stat();
  const status = statPath(fromText(path), stat);
  if (status < 0) {
    throw new OverlayError({
      operation: `open ${kind} directory`,
      path,
      errno: status,
      reason: status === -ENOENT ? 'there is no such directory' : undefined,
      remedy: status === -ENOENT ? 'create it or correct the path' : undefined,
    });
  }
  if (!stat.isDirectory) {
    throw new OverlayError({
      operation: `open ${kind} directory`,
      path,
      errno: ENOTDIR,
      reason: 'it is not a directory',
      remedy: 'layers are directories; unpack an archive first',
    });
  }
}

function finish(
  path: string,
  index: number,
  isUpper: boolean,
  fd: number,
  override: ByteString | null = null,
): Layer {
  const stat = new Stat();
  const status = fd < 0 ? fd : statFd(fd, stat);
  if (status < 0) throw new OverlayError({ operation: 'open layer', path, errno: status });
  const readable = openReadable(fd);
  const uuid = readable < 0 ? undefined : fileSystemUuid(readable);
  if (readable >= 0) close(readable);
  const layer = {
    path,
    index,
    isUpper,
    fd,
    fileSystem: stat.fileSystem,
    inode: stat.inode,
    // A layer that is kept so already stays with its own spelling.
    override: overrideOf(fd) ?? override,
    readsFiles: true,
    uuid: uuid === undefined ? Buffer.alloc(16) : Buffer.from(uuid),
  };
  const root = new RealDirectory(layer as Layer, null, '');
  return Object.assign(layer, { root });
}
