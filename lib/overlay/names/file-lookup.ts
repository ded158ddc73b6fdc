// SPDX-License-Identifier: MIT
/**
 * The node of a file that a lookup has found: whose inode number it shows, whether
 * it is one with a file known by another name, and where its data is.
 */
import type { ByteString } from '../../base/bytes.js';
import { EIO, type Errno } from '../../base/errno.js';
import { S_IFREG, Stat, statAt } from '../../sys/stat.js';
import { getXattr } from '../../sys/xattrs.js';
import type { IndexDirectory, Indexed } from '../layers/index-directory.js';
import type { RealDirectory } from '../layers/layer.js';
import { inLower, type LowerPlace, OWN, UNKNOWN, UPPER, type Where } from '../nodes/file-content.js';
import type { Measured } from '../nodes/measured.js';
import type { DirectoryNode, FileNode, OverlayNode } from '../nodes/node.js';
import { gone, type Union } from '../nodes/union.js';
import { askDirectory } from './ask.js';
import { openOrigin, readOrigin } from './find-origin.js';
import { isImpure } from './impure.js';
import { findData, isMetacopy } from './metacopy.js';

/** What an upper file was copied up from, as far as that is known. */
const origin = new Stat();

/**
 * The node of what lies at `place` of the directory and is no directory itself. -ESTALE for a file
 * that the index has as removed. Precondition: `measured.stat` holds its attributes.
 */
export function foundFile(
  union: Union,
  directory: DirectoryNode,
  place: number,
  name: ByteString,
  measured: Measured,
): FileNode | Errno {
  const node =
    place === 0
      ? upperFile(union, directory, name, measured)
      : lowerFile(union, directory.lowers[place - 1], name, measured);
  if (typeof node === 'number' || node.type !== S_IFREG || node.names.length > 0) return node;
  const isDeepest = place > 0 && directory.lowers[place - 1].layer === union.lowers.at(-1);
  const hasItself = isDeepest && node.where.kind === 'lower' && union.dataLayers.length === 0;
  if (!hasItself) node.data = UNKNOWN;
  return node;
}

/**
 * Finds out where a file's data is. Not done at the lookup, because a scan that
 * asks for attributes alone would pay for it with every file; so the files of a
 * hostile layer fail when they are used, where the kernel's lookup fails already.
 * Precondition: the file has the name by which it was found, or the answer is known.
 * Answers 0 or a negated errno, -EIO for a metacopy whose data is nowhere.
 */
export function resolveData(union: Union, node: OverlayNode): Errno {
  if (node.isDirectory() || node.data.kind !== 'unknown') return 0;
  const { where } = node;
  const { directory, name } = node.names[0];
  let data: LowerPlace | null | Errno;
  if (where.kind === 'lower') {
    data = findData(union, directory, directory.lowers.indexOf(where.directory) + 1, where.name);
  } else if (where.kind === 'index') data = findIndexedData(union, directory, name, where.indexed);
  else data = findData(union, directory, 0, name);
  if (typeof data === 'number') return data;
  node.data = data === null ? OWN : { kind: 'below', source: data };
  return 0;
}

/** A copy in the index may have the metadata alone, and the name at hand may be in the lower only. */
function findIndexedData(
  union: Union,
  directory: DirectoryNode,
  name: ByteString,
  { name: copy }: Indexed,
): LowerPlace | null | Errno {
  const marked = isMetacopy(union, union.index!.fd, copy);
  if (marked !== true) return marked === false ? null : marked;
  const stat = new Stat();
  if (directory.upper !== null) {
    const answer = askDirectory(union, directory.upper, name, false, stat);
    if (answer === 'there') return findData(union, directory, 0, name);
    if (answer !== 'absent') return answer === 'hidden' ? -EIO : answer;
  }
  for (const [index, real] of directory.lowers.entries()) {
    const answer = askDirectory(union, real, name, true, stat);
    if (answer === 'there') return findData(union, directory, index + 1, name) ?? { directory: real, name };
    if (answer !== 'absent') return answer === 'hidden' ? -EIO : answer;
  }
  return -EIO;
}

function lowerFile(
  union: Union,
  real: RealDirectory,
  name: ByteString,
  measured: Measured,
): FileNode | Errno {
  const { stat } = measured;
  const { index } = union;
  if (index?.keeps(stat)) {
    const isUpper = union.upper === null && real.layer === union.topmost;
    return isUpper
      ? readUpperFile(union, index, { directory: real, name }, measured)
      : linkedLowerFile(union, index, { directory: real, name }, measured);
  }
  const node = union.nodes.addFile(stat.type, inLower({ directory: real, name }));
  union.numbers.numberBy(node, stat);
  measured.file = node;
  return node;
}

/** A lower file with several names is one node, and its copy, if there is one, stands for all of them. */
function linkedLowerFile(
  union: Union,
  index: IndexDirectory,
  place: LowerPlace,
  measured: Measured,
): FileNode | Errno {
  const { stat } = measured;
  const { directory: real, name } = place;
  const key = lowerKey(stat);
  const known = union.nodes.linkedFile(key);
  if (known !== undefined) return known;
  const found = index.find(real.layer, union.directories.of(real), name, stat.linkCount);
  if (typeof found === 'number') return found;
  const { isCopied, indexed } = found;
  let copyKey: string | null = null;
  if (isCopied) {
    const copy = new Stat();
    const status = statAt(index.fd, indexed.name, copy);
    if (status < 0) return gone(status);
    // Found before by a name in the upper, and where that came from could not be told.
    copyKey = linkKey(copy);
    const same = union.nodes.linkedFile(copyKey);
    if (same !== undefined) {
      if (same.where.kind !== 'index') same.where = { kind: 'index', indexed };
      union.nodes.rememberLinks(same, key);
      return same;
    }
  }
  const where: Where = isCopied ? { kind: 'index', indexed } : inLower(place, indexed);
  const node = union.nodes.addFile(stat.type, where);
  if (!isCopied) measured.file = node;
  union.nodes.rememberLinks(node, key);
  union.numbers.numberBy(node, stat);
  if (copyKey !== null) union.nodes.rememberLinks(node, copyKey);
  return node;
}

/** A file of an upper that is only read: names that lower layers alone have of it are the same node. */
function readUpperFile(union: Union, index: IndexDirectory, place: LowerPlace, measured: Measured): FileNode {
  const { stat } = measured;
  const key = linkKey(stat);
  const known = union.nodes.linkedFile(key);
  if (known !== undefined) return known;
  const mark = getXattr(union.directories.of(place.directory), place.name, union.marks.origin);
  const node = union.nodes.addFile(stat.type, inLower(place));
  measured.file = node;
  union.nodes.rememberLinks(node, key);
  const found = typeof mark !== 'number' && openOrigin(union, mark, origin);
  const { linkCount } = found ? origin : stat;
  const indexed = typeof mark === 'number' ? undefined : index.findCopy(mark, stat, linkCount);
  if (indexed !== undefined) {
    node.where = { kind: 'index', indexed };
    if (found) union.nodes.rememberLinks(node, lowerKey(origin));
  }
  union.numbers.numberBy(node, indexed !== undefined && found ? origin : stat);
  return node;
}

function lowerKey(stat: Stat): string {
  return `lower ${stat.fileSystem}:${stat.inodeHigh}:${stat.inodeLow}`;
}

function upperFile(union: Union, directory: DirectoryNode, name: ByteString, measured: Measured): FileNode {
  const { stat } = measured;
  const key = stat.linkCount > 1 ? linkKey(stat) : null;
  if (key !== null) {
    const known = union.nodes.linkedFile(key);
    if (known !== undefined) return known;
  }
  const node = union.nodes.addFile(stat.type, UPPER);
  measured.file = node;
  if (key !== null) union.nodes.rememberLinks(node, key);
  // The kernel does not mark a directory impure for a link that is made in it, so a file with several
  // names is asked whatever its directory says: all its names must give one number.
  const mayHaveOrigin = key !== null || isImpure(union, directory);
  const found = mayHaveOrigin && readOrigin(union, directory, name, origin);
  if (union.index !== null && key !== null) {
    const mark = getXattr(union.directories.of(directory.upper!), name, union.marks.origin);
    const { linkCount } = found ? origin : stat;
    const indexed = typeof mark === 'number' ? undefined : union.index.findCopy(mark, stat, linkCount);
    if (indexed !== undefined) node.where = { kind: 'index', indexed };
    if (indexed !== undefined && found) union.nodes.rememberLinks(node, lowerKey(origin));
  }
  union.numbers.numberBy(node, found ? origin : stat);
  return node;
}

export function linkKey(stat: Stat): string {
  return `${stat.inodeHigh}:${stat.inodeLow}`;
}
