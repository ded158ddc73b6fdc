// SPDX-License-Identifier: MIT
/**
 * Whiteouts that are plain files, as AUFS made them and image layers carry them:
 * `.wh.NAME` hides NAME of the layers below, `.wh..wh..opq` in a directory hides
 * all of theirs, and every other `.wh..wh.*` is bookkeeping (image-spec layer.md,
 * "Whiteouts"). They say nothing about their own layer, so NAME and `.wh.NAME`
 * may lie side by side. No name with that prefix is shown where they count.
 *
 * They are read in every layer that may hold them (layer-format.ts), and written where
 * neither devices nor attributes can be had. Written beside the
 * object that is about to go, such a whiteout is never a step of its own: while
 * the object is there it shows, and once it is gone the whiteout hides.
 */
import type { ByteString } from '../../base/bytes.js';
import { EEXIST, ENOENT, type Errno } from '../../base/errno.js';
import { listDirectory, makeNode, unlink } from '../../sys/entries.js';
import { close, O_DIRECTORY, O_PATH, openAt, openBeneath } from '../../sys/files.js';
import { openReadable } from '../../sys/handles.js';
import { S_IFREG } from '../../sys/stat.js';
import { setMark } from '../formats/as-owner.js';
import { YES } from '../formats/marks.js';
import { FILE_WHITEOUT_PREFIX, hiddenBy, isFileOfFormat } from '../formats/whiteout-names.js';
import type { Layer, RealDirectory } from '../layers/layer.js';
import type { DirectoryNode } from '../nodes/node.js';
import { gone, type Union } from '../nodes/union.js';

const OPAQUE = '.wh..wh..opq';
const FILE_MODE = S_IFREG | 0o444;

/** Whether no user can have a name: the upper would take it for a whiteout. */
export function isReserved({ upper }: Union, name: ByteString): boolean {
  return upper?.readsFiles === true && isFileOfFormat(name);
}

/** Whether an entry of a layer is not shown under its name. */
export function isReservedIn(union: Union, { layer }: RealDirectory, entry: ByteString): boolean {
  return isFileOfFormat(entry) && (layer.readsFiles || union.upper?.readsFiles === true);
}

/** Whether `.wh.NAME` lies in the directory; or a negated errno. */
export function hasFileWhiteout(union: Union, real: RealDirectory, name: ByteString): boolean | Errno {
  if (!real.layer.readsFiles) return false;
  const hidden = real.hiddenNames ?? readHiddenNames(union, real);
  return typeof hidden === 'number' ? hidden : hidden.has(name);
}

/** Reads the directory once: asking for `.wh.NAME` at every miss would double the cost of misses. */
function readHiddenNames(union: Union, real: RealDirectory): ReadonlySet<ByteString> | Errno {
  const path = union.directories.of(real);
  const fd = path < 0 ? path : openReadable(path);
  if (fd < 0) return gone(fd);
  const hidden = new Set<ByteString>();
  const status = listDirectory(fd, (entry) => {
    if (entry.startsWith(FILE_WHITEOUT_PREFIX) && hiddenBy(entry) !== '') hidden.add(hiddenBy(entry));
    return true;
  });
  close(fd);
  if (status < 0) return status;
  real.hiddenNames = hidden;
  return hidden;
}

/** Whether a directory that lies at `name` in `dir` holds the file that makes it opaque. */
export function hasOpaqueFile(layer: Layer, dir: number, name: ByteString): boolean {
  if (!layer.readsFiles) return false;
  const fd = openBeneath(dir, `${name}/${OPAQUE}`, O_PATH);
  if (fd >= 0) close(fd);
  return fd >= 0;
}

/** Hides in the upper what lower layers have of that name. Answers 0 or a negated errno. */
export function hideByFile(union: Union, parent: DirectoryNode, name: ByteString): Errno {
  const dir = union.directories.of(parent.upper!);
  if (dir < 0) return gone(dir);
  const status = makeNode(dir, FILE_WHITEOUT_PREFIX + name, FILE_MODE, 0);
  if (status < 0 && status !== -EEXIST) return status;
  parent.upper!.hiddenNames?.add(name);
  return 0;
}

/** Takes the whiteout away after an object has come to the name. Answers 0 or a negated errno. */
export function removeFileWhiteout(union: Union, parent: DirectoryNode, name: ByteString): Errno {
  const present = hasFileWhiteout(union, parent.upper!, name);
  if (present !== true) return present === false ? 0 : present;
  const dir = union.directories.of(parent.upper!);
  const status = dir < 0 ? gone(dir) : unlink(dir, FILE_WHITEOUT_PREFIX + name);
  if (status < 0 && status !== -ENOENT) return status;
  parent.upper!.hiddenNames!.delete(name);
  return 0;
}

/** Makes a directory of the upper or the work directory hide what lies below it, as this union writes it. */
export function makeOpaque(union: Union, dir: number, name: ByteString): Errno {
  if (union.work!.ways.form !== 'file') return setMark(dir, name, union.marks.opaque, YES);
  const fd = openAt(dir, name, O_PATH | O_DIRECTORY);
  if (fd < 0) return gone(fd);
  const status = makeNode(fd, OPAQUE, FILE_MODE, 0);
  close(fd);
  return status === -EEXIST ? 0 : status;
}
