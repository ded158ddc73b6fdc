// SPDX-License-Identifier: MIT
/**
 * Metacopies: files that hold a lower file's changed metadata and none of its
 * data. The data is found by going down the layers, by the same name or by a
 * redirect, until a file without the mark; layers that only hold data come last
 * and are reached by an absolute redirect alone (ovl_lookup and
 * ovl_lookup_data_layers in fs/overlayfs/namei.c; overlayfs.rst, "Metadata only copy up").
 *
 * A mark is empty, or {u8 version 0, u8 length, u8 flags, u8 digest algorithm,
 * digest}: digests are fs-verity's and are not checked.
 */
import type { ByteString } from '../../base/bytes.js';
import { EIO, ENODATA, EOPNOTSUPP, type Errno } from '../../base/errno.js';
import { Stat } from '../../sys/stat.js';
import { getXattr } from '../../sys/xattrs.js';
import type { LowerPlace } from '../nodes/file-content.js';
import type { DirectoryNode } from '../nodes/node.js';
import { gone, type Union } from '../nodes/union.js';
import { askDirectory } from './ask.js';
import { followRedirect, lookUpPath, type Route, routeAfter } from './resolve.js';

const SHORTEST_MARK = 4;

/** Whether a file is a metacopy. Or -EIO for a mark that is none, or another negated errno. */
export function isMetacopy(union: Union, dir: number, name: ByteString): boolean | Errno {
  if (dir < 0) return gone(dir);
  const mark = getXattr(dir, name, union.marks.metacopy);
  if (mark === -ENODATA || mark === -EOPNOTSUPP) return false;
  if (typeof mark === 'number') return gone(mark);
  if (mark.length === 0) return true;
  return mark.length >= SHORTEST_MARK && mark[0] === 0 && mark[1] === mark.length ? true : -EIO;
}

/**
 * Where the data of the regular file at `place` of `parent` lies: null where it
 * has it itself. Answers -EIO where no layer has it.
 */
export function findData(
  union: Union,
  parent: DirectoryNode,
  place: number,
  name: ByteString,
): LowerPlace | null | Errno {
  const top = place === 0 ? parent.upper! : parent.lowers[place - 1];
  if (union.dataLayers.length === 0 && top.layer === union.lowers.at(-1)) return null;
  const marked = isMetacopy(union, union.directories.of(top), name);
  if (marked !== true) return marked === false ? null : marked;
  const route = followRedirect(union, top, name, { kind: 'name', name });
  if (typeof route === 'number') return route;
  if (route.kind === 'path') return findByPath(union, route, top.layer.index);
  return route.kind === 'name' ? findBeside(union, parent, place, route.name) : -EIO;
}

/** The next file of that name in the lowers of the same parent. */
function findBeside(
  union: Union,
  parent: DirectoryNode,
  place: number,
  name: ByteString,
): LowerPlace | Errno {
  const stat = new Stat();
  let wanted = name;
  for (const real of parent.lowers.slice(place)) {
    const answer = askDirectory(union, real, wanted, true, stat);
    if (answer === 'absent') continue;
    if (typeof answer === 'number') return answer;
    if (answer === 'hidden' || !stat.isRegular) return -EIO;
    const marked = isMetacopy(union, union.directories.of(real), wanted);
    if (marked !== true) return marked === false ? { directory: real, name: wanted } : marked;
    const route = followRedirect(union, real, wanted, { kind: 'name', name: wanted });
    if (typeof route === 'number') return route;
    if (route.kind === 'path') return findByPath(union, route, real.layer.index);
    if (route.kind === 'name') wanted = route.name;
  }
  return -EIO;
}

/** Goes on in the layers below the one given, and then in those that hold data only. */
function findByPath(union: Union, start: Route & { kind: 'path' }, from: number): LowerPlace | Errno {
  const stat = new Stat();
  let route: Route = start;
  for (const layer of [...union.lowers, ...union.dataLayers]) {
    if (layer.index <= from) continue;
    if (route.kind !== 'path') break;
    const found = lookUpPath(union, layer, route.components, stat);
    if (found.answer === 'absent') {
      route = found.route;
      continue;
    }
    if (typeof found.answer === 'number') return found.answer;
    if (found.answer === 'hidden' || !stat.isRegular) return -EIO;
    const marked = isMetacopy(union, union.directories.of(found.parent), found.name);
    if (marked !== true) return marked === false ? { directory: found.parent, name: found.name } : marked;
    const next = routeAfter(found, (way) => followRedirect(union, found.parent, found.name, way));
    if (typeof next === 'number') return next;
    route = next;
  }
  return -EIO;
}
