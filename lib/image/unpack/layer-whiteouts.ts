// SPDX-License-Identifier: MIT
/**
 * Whiteouts between their two spellings: `.wh.NAME` and `.wh..wh..opq` in an
 * archive (image-spec layer.md), those of a union in a layer on disk (lay-whiteout.ts).
 */
import type { ByteString } from '../../base/bytes.js';
import { EEXIST } from '../../base/errno.js';
import { layWhiteout } from '../../overlay/formats/lay-whiteout.js';
import { type Marks, YES } from '../../overlay/formats/marks.js';
import { hiddenBy, isFileOfFormat } from '../../overlay/formats/whiteout-names.js';
import { makeNode } from '../../sys/entries.js';
import { S_IFREG } from '../../sys/stat.js';
import { setXattr } from '../../sys/xattrs.js';
import type { ParentDirectories } from './layer-names.js';

export const OPAQUE_FILE = '.wh..wh..opq';
export const WHITEOUT_PREFIX = '.wh.';
const BOOKKEEPING = '.wh..wh.';
const OPAQUE_FILE_MODE = S_IFREG | 0o444;

export interface Whiteout {
  directory: readonly ByteString[];
  /** What is hidden; undefined for everything that the directory has below. */
  name: ByteString | undefined;
}

/** The whiteout that an entry is; undefined for another entry, null for AUFS's bookkeeping, or what is wrong with it. */
export function readWhiteout(
  directory: ByteString[],
  entry: ByteString,
): Whiteout | undefined | null | string {
  if (directory.some((name) => name.startsWith(BOOKKEEPING))) return null;
  if (directory.some(isFileOfFormat)) return 'a name that begins with .wh. cannot be a directory';
  if (!isFileOfFormat(entry)) return undefined;
  if (entry === OPAQUE_FILE) return { directory, name: undefined };
  const name = hiddenBy(entry);
  if (name === '') return entry === WHITEOUT_PREFIX ? 'a whiteout hides nothing' : null;
  return name === '.' || name === '..' ? 'a whiteout leads out of its directory' : { directory, name };
}

export interface FailedWhiteout {
  path: ByteString;
  status: number;
}

/**
 * Puts the whiteouts on disk, after everything else. What the layer has itself
 * hides a file below by being there; a directory hides one by being opaque. In an
 * opaque directory no whiteout is needed, and overlayfs takes one there for a fault.
 */
export function placeWhiteouts(
  whiteouts: readonly Whiteout[],
  parents: ParentDirectories,
  marks: Marks,
): FailedWhiteout | undefined {
  const opaque = new Set<ByteString>();
  for (const { directory, name } of whiteouts) {
    if (name !== undefined) continue;
    const path = directory.join('/');
    const status = markOpaque(parents, directory, marks);
    if (status < 0) return { path, status };
    opaque.add(path);
  }
  const needed: Whiteout[] = [];
  for (const whiteout of whiteouts) {
    const { directory, name } = whiteout;
    if (name === undefined) continue;
    const parent = parents.open(directory);
    if (parent < 0 || !parents.isDirectory(parent, name)) needed.push(whiteout);
    else {
      const path = [...directory, name].join('/');
      const status = markOpaque(parents, [...directory, name], marks);
      if (status < 0) return { path, status };
      opaque.add(path);
    }
  }
  for (const { directory, name } of needed) {
    if (opaque.has(directory.join('/'))) continue;
    const status = hide(parents, directory, name!, marks);
    if (status < 0) return { path: [...directory, name].join('/'), status };
  }
  return undefined;
}

function markOpaque(parents: ParentDirectories, directory: readonly ByteString[], marks: Marks): number {
  const fd = parents.open(directory);
  // At the root of a layer nobody looks for the attribute (ovl_get_layers); the file is what lib/overlay knows.
  if (directory.length === 0) return makeNode(fd, OPAQUE_FILE, OPAQUE_FILE_MODE, 0);
  return fd < 0 ? fd : setXattr(fd, '.', marks.opaque, YES);
}

function hide(
  parents: ParentDirectories,
  directory: readonly ByteString[],
  name: ByteString,
  marks: Marks,
): number {
  const parent = parents.open(directory);
  if (parent < 0) return parent;
  const status = layWhiteout(marks, parents.root, parent, name);
  return status === -EEXIST ? 0 : status;
}
