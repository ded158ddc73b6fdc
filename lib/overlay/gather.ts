// SPDX-License-Identifier: MIT
/**
 * A merged directory is put together: the topmost directory of a name and what
 * it lets through from the layers below. An opaque mark ends the search, a
 * redirect goes on under another name (ovl_lookup_single and ovl_lookup_layer in
 * fs/overlayfs/namei.c).
 *
 * Redirects come from a layer and are untrusted: each component must be a plain
 * name, and is looked up beneath the layer's root, one at a time.
 */
import { type ByteString, toText } from '../base/bytes.js';
import { overlayDebug } from '../base/debug.js';
import { EIO, ENODATA, ENOENT, ENOTDIR, EOPNOTSUPP, type Errno } from '../base/errno.js';
import { statAt } from '../sys/stat.js';
import { getXattr, xattrIs } from '../sys/xattrs.js';
import { hides } from './lookup.js';
import type { DirectoryNode } from './node.js';
import { RealDirectory } from './real.js';
import { gone, type Union } from './union.js';

/** Where the search goes on below the directory found last. */
type Route =
  | { kind: 'name'; name: ByteString }
  | { kind: 'path'; components: ByteString[] }
  | { kind: 'ends' };

/**
 * Builds the node of the directory that was found at `place` of `parent`.
 * Precondition: `union.stat` holds its attributes.
 */
export function gatherDirectory(
  union: Union,
  parent: DirectoryNode,
  name: ByteString,
  place: number,
  places: readonly number[] | null,
): DirectoryNode | Errno {
  const chain: RealDirectory[] = [];
  let inode = { fileSystem: 0, low: 0, high: 0 };
  const take = (real: RealDirectory): void => {
    // A merged directory is known by its topmost lower, which no copy-up changes.
    if (chain.length === 0 || (chain.length === 1 && chain[0].layer.isUpper)) {
      inode = { fileSystem: union.stat.fileSystem, low: union.stat.inodeLow, high: union.stat.inodeHigh };
    }
    chain.push(real);
  };
  const first = place === 0 ? parent.upper! : parent.lowers[place - 1];
  take(new RealDirectory(first.layer, first, name));
  const status = gatherBelow(union, parent, { name, place, places, take, chain });
  if (status < 0) return status;
  const node = union.nodes.addDirectory();
  if (chain[0].layer.isUpper) node.upper = chain.shift()!;
  node.lowers = chain;
  union.numbers.compute(inode.fileSystem, inode.low, inode.high);
  node.inodeLow = union.numbers.low;
  node.inodeHigh = union.numbers.high;
  return node;
}

interface Search {
  name: ByteString;
  place: number;
  places: readonly number[] | null;
  chain: RealDirectory[];
  take(real: RealDirectory): void;
}

function gatherBelow(union: Union, parent: DirectoryNode, search: Search): Errno {
  let route: Route = { kind: 'name', name: search.name };
  let { place, places } = search;
  const last = parent.lowers.length;
  while (place <= last) {
    const found = search.chain[search.chain.length - 1];
    const deepest = place === last && union.lowers[union.lowers.length - 1] === found.layer;
    if (!deepest) {
      const next = readRoute(union, found, route);
      if (typeof next === 'number') return next;
      if (next.kind !== 'name' || route.kind !== 'name' || next.name !== route.name) places = null;
      route = next;
    }
    if (route.kind === 'ends') return 0;
    if (route.kind === 'path') return gatherByPath(union, route, search);
    const step = nextBeside(union, parent, route.name, place, places, search);
    if (step < 0) return step;
    if (step > last) return 0;
    place = step;
  }
  return 0;
}

/** The next lower of the same parent that has a directory of that name; past the last when the search ends. */
function nextBeside(
  union: Union,
  parent: DirectoryNode,
  name: ByteString,
  place: number,
  places: readonly number[] | null,
  search: Search,
): number {
  const past = parent.lowers.length + 1;
  for (let next = place + 1; next < past; next++) {
    if (places !== null && !places.includes(next)) continue;
    const beside = parent.lowers[next - 1];
    const fd = union.directories.of(beside);
    if (fd < 0) return gone(fd);
    const status = statAt(fd, name, union.stat);
    if (status === -ENOENT) continue;
    if (status < 0) return status;
    if (!union.stat.isDirectory || hides(union, beside, fd, name, union.stat)) return past;
    search.take(new RealDirectory(beside.layer, beside, name));
    return next;
  }
  return past;
}

/** Goes on in the layers below the last found one, from their roots. */
function gatherByPath(union: Union, start: Route & { kind: 'path' }, search: Search): Errno {
  let route: Route = start;
  const from = search.chain[search.chain.length - 1].layer.index;
  for (const layer of union.lowers) {
    if (layer.index <= from) continue;
    if (route.kind !== 'path') return 0;
    const found = resolveInLayer(union, layer.root, route.components);
    if (found === 'absent') continue;
    if (found === 'hidden') return 0;
    if (typeof found === 'number') return found;
    search.take(found);
    const next = readRoute(union, found, route);
    if (typeof next === 'number') return next;
    route = next;
  }
  return 0;
}

function resolveInLayer(
  union: Union,
  root: RealDirectory,
  path: ByteString[],
): RealDirectory | 'absent' | 'hidden' | Errno {
  let real = root;
  for (const name of path) {
    const fd = union.directories.of(real);
    if (fd < 0) return gone(fd);
    const status = statAt(fd, name, union.stat);
    if (status === -ENOENT || status === -ENOTDIR) return 'absent';
    if (status < 0) return status;
    if (!union.stat.isDirectory) return 'hidden';
    real = new RealDirectory(root.layer, real, name);
  }
  return real;
}

/** Reads the marks of a directory that decide how the search goes on below it. */
function readRoute(union: Union, real: RealDirectory, route: Route): Route | Errno {
  const { marks } = union;
  const fd = union.directories.of(real.parent!);
  if (fd < 0) return gone(fd);
  if (xattrIs(fd, real.name, marks.opaque, 'y')) return { kind: 'ends' };
  if (xattrIs(fd, real.name, marks.opaque, 'x')) real.xattrWhiteouts = true;
  const redirect = getXattr(fd, real.name, marks.redirect);
  if (redirect === -ENODATA || redirect === -EOPNOTSUPP) return route;
  if (typeof redirect === 'number') return redirect;
  const next = parseRedirect(redirect.latin1Slice(), route);
  if (next === undefined) {
    overlayDebug('refused redirect %j of %s', redirect.latin1Slice(), toText(real.path()));
    return -EIO;
  }
  return next;
}

/** A redirect is an absolute path, or one name in the same parent (ovl_get_redirect_xattr). */
function parseRedirect(value: ByteString, route: Route): Route | undefined {
  const absolute = value.startsWith('/');
  const names = absolute ? value.slice(1).split('/') : [value];
  const plain = (name: ByteString): boolean =>
    name !== '' && name !== '.' && name !== '..' && !name.includes('/') && !name.includes('\0');
  if (!names.every(plain)) return undefined;
  if (absolute) return { kind: 'path', components: names };
  if (route.kind === 'path') return { kind: 'path', components: [...route.components.slice(0, -1), value] };
  return { kind: 'name', name: value };
}
