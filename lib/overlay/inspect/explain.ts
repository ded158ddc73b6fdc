// SPDX-License-Identifier: MIT
/** Where a path of the merged view comes from: what each layer has of it, and what that does. */
import { type ByteString, toText } from '../../base/bytes.js';
import { ENOENT, type Errno } from '../../base/errno.js';
import {
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFIFO,
  S_IFLNK,
  S_IFREG,
  S_IFSOCK,
  Stat,
  statAt,
} from '../../sys/stat.js';
import { getXattr } from '../../sys/xattrs.js';
import type { RealDirectory } from '../layers/layer.js';
import { hasFileWhiteout } from '../names/file-whiteouts.js';
import { findNode } from '../names/lookup.js';
import { isMetacopy } from '../names/metacopy.js';
import { isOpaque } from '../names/resolve.js';
import { walkToParent } from '../names/walk.js';
import { hides } from '../names/whiteouts.js';
import type { DirectoryNode, OverlayNode } from '../nodes/node.js';
import { release, settle } from '../nodes/references.js';
import type { Union } from '../nodes/union.js';

/**
 * What a layer's object does for the path:
 * - `supplies`: it is what is seen;
 * - `merged`: a directory that adds its entries to one above;
 * - `hides`: a whiteout, nothing below it shows;
 * - `hidden`: something above keeps it from sight.
 */
export type LayerRole = 'supplies' | 'merged' | 'hides' | 'hidden';

export interface LayerFinding {
  /** The layer, as given when mounting. */
  layer: string;
  /** `file`, `directory`, `symlink`, `whiteout`… */
  type: string;
  role: LayerRole;
  /** The object was copied up from a lower layer. */
  copiedUp: boolean;
  /** A directory that hides what lies below it. */
  opaque: boolean;
  /** A file whose data comes from a layer below. */
  metadataOnly: boolean;
  /** Where a renamed directory is found in the layers below. */
  redirect?: string;
}

export interface Explanation {
  path: string;
  exists: boolean;
  type?: string;
  /** The layer that supplies it. */
  from?: string;
  /** Top first; only layers that have something of that name. */
  layers: LayerFinding[];
}

const typeNames = new Map([
  [S_IFREG, 'file'],
  [S_IFDIR, 'directory'],
  [S_IFLNK, 'symlink'],
  [S_IFCHR, 'character device'],
  [S_IFBLK, 'block device'],
  [S_IFIFO, 'fifo'],
  [S_IFSOCK, 'socket'],
]);

/** Explains a path of the merged view. Answers a negated errno where its parent cannot be reached. */
export function explainPath(union: Union, path: ByteString): Explanation | Errno {
  const named = walkToParent(union, path);
  if (typeof named === 'number') return named;
  const { parent, name } = named;
  if (name === '' || name === '.' || name === '..') {
    const at = name === '..' ? (parent.parent ?? union.root) : parent;
    const explanation =
      at.parent === null
        ? explainRoot(union)
        : explainName(union, { path, parent: at.parent, name: at.name });
    release(union, parent);
    return explanation;
  }
  const explanation = explainName(union, { path, parent, name });
  release(union, parent);
  return explanation;
}

interface Explained {
  path: ByteString;
  parent: DirectoryNode;
  name: ByteString;
}

function explainName(union: Union, { path, parent, name }: Explained): Explanation {
  const node = findNode(union, parent, name);
  const explanation: Explanation = {
    path: toText(path),
    exists: typeof node !== 'number',
    layers: findings(union, parent, name, node),
  };
  if (typeof node !== 'number') {
    explanation.type = typeNames.get(node.type) ?? 'unknown';
    explanation.from = explanation.layers.find(({ role }) => role === 'supplies')!.layer;
    settle(union, node);
  }
  return explanation;
}

function explainRoot(union: Union): Explanation {
  const reals = [...(union.root.upper === null ? [] : [union.root.upper]), ...union.root.lowers];
  const layers = reals.map(
    (real, index): LayerFinding => ({
      layer: real.layer.path,
      type: 'directory',
      role: index === 0 ? 'supplies' : 'merged',
      copiedUp: false,
      opaque: false,
      metadataOnly: false,
    }),
  );
  return { path: '/', exists: true, type: 'directory', from: layers[0].layer, layers };
}

function findings(
  union: Union,
  parent: DirectoryNode,
  name: ByteString,
  node: OverlayNode | Errno,
): LayerFinding[] {
  const reals = [...(parent.upper === null ? [] : [parent.upper]), ...parent.lowers];
  const merged = new Set<string>();
  if (typeof node !== 'number' && node.isDirectory()) {
    for (const real of [...(node.upper === null ? [] : [node.upper]), ...node.lowers])
      merged.add(real.layer.path);
  }
  const found: LayerFinding[] = [];
  const copy = examineCopy(union, parent, name, node);
  if (copy !== undefined) found.push(copy);
  let decided = copy !== undefined;
  for (const real of reals) {
    const finding = examine(union, real, name);
    if (finding === undefined) continue;
    if (!decided) finding.role = finding.type === 'whiteout' ? 'hides' : 'supplies';
    else if (finding.type === 'directory' && merged.has(finding.layer)) finding.role = 'merged';
    decided = true;
    found.push(finding);
  }
  return found;
}

/** What the upper has of a file whose name is in lower layers only; undefined where it has the name. */
function examineCopy(
  union: Union,
  parent: DirectoryNode,
  name: ByteString,
  node: OverlayNode | Errno,
): LayerFinding | undefined {
  if (typeof node === 'number' || node.isDirectory() || node.where.kind !== 'index') return undefined;
  const copy = node.where.indexed.name;
  const own = parent.upper ?? parent.lowers.find(({ layer }) => layer === union.topmost);
  const stat = new Stat();
  if (own !== undefined && statAt(union.directories.of(own), name, stat) === 0) return undefined;
  const found = statAt(union.index!.fd, copy, stat);
  return {
    layer: union.topmost.path,
    type: found < 0 ? 'unknown' : (typeNames.get(stat.type) ?? 'unknown'),
    role: 'supplies',
    copiedUp: true,
    opaque: false,
    metadataOnly: isMetacopy(union, union.index!.fd, copy) === true,
  };
}

function examine(union: Union, real: RealDirectory, name: ByteString): LayerFinding | undefined {
  const { marks } = union;
  const stat = new Stat();
  const dir = union.directories.of(real);
  if (dir < 0) return undefined;
  if (statAt(dir, name, stat) === -ENOENT) {
    if (hasFileWhiteout(union, real, name) !== true) return undefined;
    return {
      layer: real.layer.path,
      type: 'whiteout',
      role: 'hidden',
      copiedUp: false,
      opaque: false,
      metadataOnly: false,
    };
  }
  const redirect = getXattr(dir, name, marks.redirect);
  return {
    layer: real.layer.path,
    type: hides(union, real, dir, name, stat) ? 'whiteout' : (typeNames.get(stat.type) ?? 'unknown'),
    role: 'hidden',
    copiedUp: typeof getXattr(dir, name, marks.origin) !== 'number',
    opaque: stat.isDirectory && isOpaque(union, real, dir, name) === true,
    metadataOnly: stat.isRegular && isMetacopy(union, dir, name) === true,
    ...(typeof redirect === 'number' ? {} : { redirect: redirect.toString('utf8') }),
  };
}
