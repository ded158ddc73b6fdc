// SPDX-License-Identifier: MIT
/**
 * How a search goes on in the layers below, as the marks of what was found tell
 * it: by the same name in the same parent, by another one, from the roots of the
 * layers along a path, or not at all (ovl_lookup_single, ovl_check_redirect and
 * ovl_lookup_layer in fs/overlayfs/namei.c).
 *
 * Redirects come from a layer and are untrusted: each component must be a plain
 * name, and is looked up beneath the layer's root, one at a time.
 */
import { type ByteString, toText } from '../../base/bytes.js';
import { overlayDebug } from '../../base/debug.js';
import { EIO, ENODATA, ENOTDIR, EOPNOTSUPP, EPERM, type Errno } from '../../base/errno.js';
import type { Stat } from '../../sys/stat.js';
import { getXattr, listXattrs, xattrIs } from '../../sys/xattrs.js';
import { type Layer, RealDirectory } from '../layers/layer.js';
import { gone, type Union } from '../nodes/union.js';
import { type Answer, askDirectory } from './ask.js';
import { hasFileWhiteout, hasOpaqueFile } from './file-whiteouts.js';
import { holdsMarkedWhiteouts } from './whiteouts.js';

/** fuse-overlayfs takes any of these, and writes the one that it may (its direct.c). */
const OTHER_OPAQUE = new Set<ByteString>([
  'trusted.overlay.opaque',
  'user.overlay.opaque',
  'user.fuseoverlayfs.opaque',
]);

/** Where the search goes on below what was found last. */
export type Route =
  | { kind: 'name'; name: ByteString }
  | { kind: 'path'; components: ByteString[]; absolute: boolean }
  | { kind: 'ends' };

/**
 * Whether a directory hides what lies below it, in any of the spellings known;
 * `real` learns of its other mark. Or a negated errno.
 */
export function isOpaque(
  union: Union,
  parent: RealDirectory,
  dir: number,
  name: ByteString,
  real?: RealDirectory,
): boolean | Errno {
  const present = listXattrs(dir, name);
  const names = typeof present === 'number' ? [] : present;
  if (names.includes(union.marks.opaque)) {
    if (xattrIs(dir, name, union.marks.opaque, 'y')) return true;
    if (real !== undefined) real.xattrWhiteouts = holdsMarkedWhiteouts(union.marks, dir, name);
  }
  if (union.features.whiteouts === 'overlay') return false;
  const replaced = hasFileWhiteout(union, parent, name);
  if (replaced !== false) return replaced;
  const isMarked = names.some((other) => OTHER_OPAQUE.has(other) && xattrIs(dir, name, other, 'y'));
  return isMarked || hasOpaqueFile(parent.layer, dir, name);
}

/** Reads the marks of a directory that decide how the search goes on below it. */
export function routeBelow(union: Union, real: RealDirectory, route: Route): Route | Errno {
  const fd = union.directories.of(real.parent!);
  if (fd < 0) return gone(fd);
  const opaque = isOpaque(union, real.parent!, fd, real.name, real);
  if (opaque !== false) return opaque === true ? { kind: 'ends' } : opaque;
  return followRedirect(union, real.parent!, real.name, route);
}

/** The route after the redirect of an object, if it has one. -EPERM where redirects are not followed. */
export function followRedirect(
  union: Union,
  parent: RealDirectory,
  name: ByteString,
  route: Route,
): Route | Errno {
  const fd = union.directories.of(parent);
  if (fd < 0) return gone(fd);
  const redirect = getXattr(fd, name, union.marks.redirect);
  if (redirect === -ENODATA || redirect === -EOPNOTSUPP) return route;
  if (typeof redirect === 'number') return gone(redirect);
  if (union.features.redirects === 'nofollow') return -EPERM;
  const next = parseRedirect(redirect.latin1Slice(), route);
  if (next !== undefined) return next;
  overlayDebug(
    'refused redirect %j of %s',
    redirect.latin1Slice(),
    `${toText(parent.path())}/${toText(name)}`,
  );
  return -EIO;
}

/** A redirect is an absolute path, or one name in the same parent (ovl_get_redirect_xattr). */
function parseRedirect(value: ByteString, route: Route): Route | undefined {
  const absolute = value.startsWith('/');
  const names = absolute ? value.slice(1).split('/') : [value];
  const plain = (name: ByteString): boolean =>
    name !== '' && name !== '.' && name !== '..' && !name.includes('/') && !name.includes('\0');
  if (!names.every(plain)) return undefined;
  if (absolute) return { kind: 'path', components: names, absolute: true };
  if (route.kind === 'path')
    return { kind: 'path', components: [...route.components.slice(0, -1), value], absolute: false };
  return { kind: 'name', name: value };
}

/** What a layer has at a path. */
export interface AtPath {
  answer: Answer;
  /** The directory that holds, or would hold, the last component. */
  parent: RealDirectory;
  name: ByteString;
  /** How to go on in the layers below, as the directories on the way say; the last component has no say in it yet. */
  route: Route;
}

/**
 * Looks a path up in one layer; what is `there` has its attributes in `out`. A directory on the way may be redirected or
 * opaque for the layers below: an opaque one ends the search after this layer,
 * unless an absolute redirect further along starts it anew.
 */
export function lookUpPath(union: Union, layer: Layer, components: ByteString[], out: Stat): AtPath {
  let parent = layer.root;
  let below = components;
  let ends = false;
  for (const [index, name] of components.entries()) {
    const answer = askDirectory(union, parent, name, true, out);
    const isLast = index === components.length - 1;
    const route: Route = ends ? { kind: 'ends' } : { kind: 'path', components: below, absolute: false };
    if (answer !== 'there' || isLast) {
      return { answer: answer === -ENOTDIR ? 'absent' : answer, parent, name, route };
    }
    if (!out.isDirectory) return { answer: 'hidden', parent, name, route };
    const real = new RealDirectory(layer, parent, name);
    const rest = components.slice(index + 1);
    const soFar = below.slice(0, below.length - rest.length);
    const next = routeBelow(union, real, { kind: 'path', components: soFar, absolute: false });
    if (typeof next === 'number') return { answer: next, parent, name, route };
    if (next.kind === 'path') {
      below = [...next.components, ...rest];
      if (next.absolute) ends = false;
    } else ends = true;
    parent = real;
  }
  return { answer: 'absent', parent, name: '', route: { kind: 'ends' } };
}

/** The marks of what was found at the end of a path come on top of what the way to it said. */
export function routeAfter({ route }: AtPath, mark: (way: Route) => Route | Errno): Route | Errno {
  if (route.kind !== 'ends') return mark(route);
  const next = mark({ kind: 'path', components: [], absolute: false });
  if (typeof next === 'number') return next;
  return next.kind === 'path' && next.absolute ? next : route;
}
