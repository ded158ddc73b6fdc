// SPDX-License-Identifier: MIT
/**
 * A merged directory is put together: the topmost directory of a name and what
 * it lets through from the layers below. An opaque mark ends the search, a
 * redirect goes on under another name (resolve.ts).
 */
import type { ByteString } from '../../base/bytes.js';
import type { Errno } from '../../base/errno.js';
import type { Stat } from '../../sys/stat.js';
import { RealDirectory } from '../layers/layer.js';
import type { Numbered } from '../nodes/inodes.js';
import type { DirectoryNode } from '../nodes/node.js';
import type { Union } from '../nodes/union.js';
import { askDirectory } from './ask.js';
import { lookUpPath, type Route, routeAfter, routeBelow } from './resolve.js';

/** The topmost directory of a name, found at `place` of its parent. */
interface Topmost {
  name: ByteString;
  place: number;
  /** Where else the name may be; null: anywhere. */
  places: readonly number[] | null;
  /** Its attributes; those of the directories below are read to the same record. */
  stat: Stat;
}

/** Builds the node of the directory that was found in `parent`. */
export function gatherDirectory(
  union: Union,
  parent: DirectoryNode,
  topmost: Topmost,
): DirectoryNode | Errno {
  const { name, place, stat } = topmost;
  const chain: RealDirectory[] = [];
  const number: Numbered = { inodeLow: 0, inodeHigh: 0 };
  const take = (real: RealDirectory): void => {
    // A merged directory is known by its topmost lower, which no copy-up changes.
    const names = chain.length === 0 || (chain.length === 1 && chain[0].layer.isUpper);
    if (names) union.numbers.numberBy(number, stat);
    chain.push(real);
  };
  const first = place === 0 ? parent.upper! : parent.lowers[place - 1];
  take(new RealDirectory(first.layer, first, name));
  const status = gatherBelow(union, parent, { ...topmost, take, chain });
  if (status < 0) return status;
  const node = union.nodes.addDirectory();
  if (chain[0].layer.isUpper) node.upper = chain.shift()!;
  node.lowers = chain;
  node.inodeLow = number.inodeLow;
  node.inodeHigh = number.inodeHigh;
  return node;
}

interface Search extends Topmost {
  /** What is merged so far, top first. */
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
      const next = routeBelow(union, found, route);
      if (typeof next === 'number') return next;
      if (next.kind !== 'name' || route.kind !== 'name' || next.name !== route.name) places = null;
      route = next;
    }
    if (route.kind === 'ends') return 0;
    if (route.kind === 'path') return gatherByPath(union, route, search);
    const step = nextBeside(union, parent, route.name, place, places, search);
    if (step === 'ends') return 0;
    if (step < 0) return step;
    place = step;
  }
  return 0;
}

/** The place of the next lower of the same parent that has a directory of that name; or a negated errno. */
function nextBeside(
  union: Union,
  parent: DirectoryNode,
  name: ByteString,
  place: number,
  places: readonly number[] | null,
  search: Search,
): number | 'ends' | Errno {
  const past = parent.lowers.length + 1;
  for (let next = place + 1; next < past; next++) {
    if (places !== null && !places.includes(next)) continue;
    const beside = parent.lowers[next - 1];
    const answer = askDirectory(union, beside, name, places === null && next + 1 < past, search.stat);
    if (answer === 'absent') continue;
    if (typeof answer === 'number') return answer;
    if (answer === 'hidden' || !search.stat.isDirectory) return 'ends';
    search.take(new RealDirectory(beside.layer, beside, name));
    return next;
  }
  return 'ends';
}

/** Goes on in the layers below the last found one, from their roots. */
function gatherByPath(union: Union, start: Route & { kind: 'path' }, search: Search): Errno {
  let route: Route = start;
  const from = search.chain[search.chain.length - 1].layer.index;
  for (const layer of union.lowers) {
    if (layer.index <= from) continue;
    if (route.kind !== 'path') return 0;
    const found = lookUpPath(union, layer, route.components, search.stat);
    route = found.route;
    if (found.answer === 'absent') continue;
    if (found.answer !== 'there') return found.answer === 'hidden' ? 0 : found.answer;
    if (!search.stat.isDirectory) return 0;
    const real = new RealDirectory(layer, found.parent, found.name);
    search.take(real);
    const next = routeAfter(found, (way) => routeBelow(union, real, way));
    if (typeof next === 'number') return next;
    route = next;
  }
  return 0;
}
