// SPDX-License-Identifier: MIT
/**
 * What each layer of an image does to what lies below it: what it adds, changes
 * and removes, and how many bytes of lower layers nobody can see any more.
 */
import { type ByteString, fromText, joinPath, toText } from '../../base/bytes.js';
import { check } from '../../base/errors.js';
import type { Marks } from '../../overlay/formats/marks.js';
import { holdsMarkedWhiteouts, isWhiteoutIn } from '../../overlay/names/whiteouts.js';
import { listDirectory } from '../../sys/entries.js';
import { close, O_DIRECTORY, O_NOFOLLOW, O_RDONLY, openAt, openPath } from '../../sys/files.js';
import { Stat, statAt } from '../../sys/stat.js';
import { xattrIs } from '../../sys/xattrs.js';

export interface LayerChange {
  kind: 'A' | 'C' | 'D';
  path: ByteString;
  /** Bytes that the layer has of it; of what it removes, the bytes below. */
  size: number;
}

export interface ExploredLayer {
  changes: LayerChange[];
  /** Bytes of its files. */
  size: number;
  /** Bytes of lower layers that it replaces or removes. */
  wasted: number;
}

/** One name of the merged view; `inside` is null for what is no directory. */
interface Seen {
  size: number;
  inside: Map<ByteString, Seen> | null;
}

/** Layers are given bottom first, as directories in overlayfs's format. */
export function exploreLayers(paths: readonly string[], marks: Marks): ExploredLayer[] {
  const root: Seen = { size: 0, inside: new Map() };
  return paths.map((path) => {
    const explored: ExploredLayer = { changes: [], size: 0, wasted: 0 };
    const fd = check(openPath(fromText(path), O_RDONLY | O_DIRECTORY), { operation: 'read layer', path });
    visit(fd, root, '/', { marks, explored, linked: new Set() });
    return explored;
  });
}

/** What stays the same while one layer is looked through. */
interface Visit {
  marks: Marks;
  explored: ExploredLayer;
  /** Files with several names that were met already. */
  linked: Set<bigint>;
}

/** Closes the descriptor. */
function visit(fd: number, seen: Seen, path: ByteString, state: Visit): void {
  const { marks, explored } = state;
  const story = { operation: 'list', path: toText(path) };
  const names: ByteString[] = [];
  check(
    listDirectory(fd, (name) => names.push(name) > 0),
    story,
  );
  const stat = new Stat();
  const kinds = { marks, holdsMarked: holdsMarkedWhiteouts(marks, fd, '.') };
  for (const name of names.sort()) {
    const whole = joinPath(path, name);
    check(statAt(fd, name, stat), { ...story, path: toText(whole) });
    const below = seen.inside!.get(name);
    if (isWhiteoutIn(kinds, fd, name, stat)) {
      remove(seen, name, whole, explored);
      continue;
    }
    const kind = below === undefined ? 'A' : 'C';
    explored.changes.push({ kind, path: whole, size: stat.isRegular ? stat.size : 0 });
    if (stat.isDirectory) {
      const next = enter(seen, name, below, xattrIs(fd, name, marks.opaque, 'y'), explored);
      const directory = openAt(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
      visit(check(directory, { ...story, path: toText(whole) }), next, whole, state);
    } else {
      if (below !== undefined) explored.wasted += bytesOf(below);
      const size = bytesHere(stat, state.linked);
      explored.size += size;
      seen.inside!.set(name, { size, inside: null });
    }
  }
  close(fd);
}

/** A file with several names takes its bytes once. */
function bytesHere(stat: Stat, linked: Set<bigint>): number {
  if (!stat.isRegular || (stat.linkCount > 1 && linked.has(stat.inode))) return 0;
  if (stat.linkCount > 1) linked.add(stat.inode);
  return stat.size;
}

/** A directory of the layer: merged with what lies below it, or in its place. */
function enter(
  seen: Seen,
  name: ByteString,
  below: Seen | undefined,
  opaque: boolean,
  explored: ExploredLayer,
): Seen {
  if (below?.inside != null && !opaque) return below;
  if (below !== undefined) explored.wasted += bytesOf(below);
  const fresh: Seen = { size: 0, inside: new Map() };
  seen.inside!.set(name, fresh);
  return fresh;
}

function remove(seen: Seen, name: ByteString, path: ByteString, explored: ExploredLayer): void {
  const below = seen.inside!.get(name);
  if (below === undefined) return;
  const size = bytesOf(below);
  explored.changes.push({ kind: 'D', path, size });
  explored.wasted += size;
  seen.inside!.delete(name);
}

function bytesOf({ size, inside }: Seen): number {
  if (inside === null) return size;
  let sum = size;
  for (const item of inside.values()) sum += bytesOf(item);
  return sum;
}
