// SPDX-License-Identifier: MIT
/**
 * What an upper changes, as `docker diff` says it: added, changed, deleted.
 *
 * Only directories that the upper has are visited, so the cost goes with the
 * changes and not with the tree. With the lower layers at hand the merged view is
 * compared with the lower one; for an upper alone, its marks tell.
 */
import { type ByteString, joinPath } from '../../base/bytes.js';
import { check } from '../../base/errors.js';
import { listDirectory } from '../../sys/entries.js';
import { close, O_DIRECTORY, O_RDONLY, openAt } from '../../sys/files.js';
import { Stat, statAt } from '../../sys/stat.js';
import { getXattr } from '../../sys/xattrs.js';
import { isInUpper } from '../copy-up/copy-up.js';
import { hiddenBy, isFileOfFormat } from '../formats/whiteout-names.js';
import { completeListing } from '../names/listing.js';
import { findNode } from '../names/lookup.js';
import { holdsMarkedWhiteouts, isWhiteoutIn } from '../names/whiteouts.js';
import type { DirectoryNode, OverlayNode } from '../nodes/node.js';
import { settle } from '../nodes/references.js';
import type { Union } from '../nodes/union.js';

export type ChangeKind = 'A' | 'C' | 'D';

export interface Change {
  kind: ChangeKind;
  /** Absolute in the merged view. */
  path: ByteString;
}

/**
 * Compares a merged view with that of its lower layers alone. `upperPath` is the
 * layer of `merged` whose objects count as touched.
 */
export function diffViews(merged: Union, lower: Union | undefined, upperPath: string): Change[] {
  const changes: Change[] = [];
  compare({ merged, lower, upperPath, changes }, merged.root, lower?.root ?? null, '/');
  return sorted(changes);
}

interface Comparison {
  merged: Union;
  lower: Union | undefined;
  upperPath: string;
  changes: Change[];
}

function compare(
  views: Comparison,
  now: DirectoryNode,
  before: DirectoryNode | null,
  path: ByteString,
): void {
  const { merged, lower, changes } = views;
  const names = namesOf(merged, now, path);
  const former = before === null ? new Set<ByteString>() : namesOf(lower!, before, path);
  for (const name of former) if (!names.has(name)) changes.push({ kind: 'D', path: joinPath(path, name) });
  for (const name of names) {
    const node = findNode(merged, now, name);
    if (typeof node === 'number') continue;
    if (!former.has(name)) {
      changes.push({ kind: 'A', path: joinPath(path, name) });
      if (node.isDirectory()) compare(views, node, null, joinPath(path, name));
    } else if (isTouched(merged, node, views.upperPath)) {
      changes.push({ kind: 'C', path: joinPath(path, name) });
      if (node.isDirectory()) compareChanged(views, node, before!, name, joinPath(path, name));
    }
    settle(merged, node);
  }
}

function compareChanged(
  views: Comparison,
  now: DirectoryNode,
  parentBefore: DirectoryNode,
  name: ByteString,
  path: ByteString,
): void {
  const before = findNode(views.lower!, parentBefore, name);
  if (typeof before === 'number') return;
  compare(views, now, before.isDirectory() ? before : null, path);
  settle(views.lower!, before);
}

function isTouched(union: Union, node: OverlayNode, upperPath: string): boolean {
  if (isInUpper(node)) return true;
  const layer = node.isDirectory() ? node.lowers[0].layer : union.layerOf(node);
  return layer.path === upperPath;
}

function namesOf(union: Union, directory: DirectoryNode, path: ByteString): Set<ByteString> {
  check(completeListing(union, directory), { operation: 'list', path });
  return new Set(directory.entries.keys());
}

/** Changes of an upper whose lower layers are not known: an object with an origin was changed, not added. */
export function diffUpper(union: Union): Change[] {
  const changes: Change[] = [];
  const pending: { dir: number; path: ByteString }[] = [
    { dir: openAt(union.lowers[0].fd, '.', O_RDONLY | O_DIRECTORY), path: '/' },
  ];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    const { dir, path } = next;
    check(dir, { operation: 'list', path });
    for (const change of changesIn(union, dir, path)) {
      changes.push(change);
      if (!change.isDirectory) continue;
      const name = change.path.slice(change.path.lastIndexOf('/') + 1);
      pending.push({ dir: openAt(dir, name, O_RDONLY | O_DIRECTORY), path: change.path });
    }
    close(dir);
  }
  return sorted(changes.map(({ kind, path }) => ({ kind, path })));
}

/** What one directory of the upper says. */
function* changesIn(
  { marks, lowers }: Union,
  dir: number,
  path: ByteString,
): Generator<Change & { isDirectory: boolean }> {
  const names: ByteString[] = [];
  check(
    listDirectory(dir, (name) => names.push(name) > 0),
    { operation: 'list', path },
  );
  const stat = new Stat();
  const kinds = { marks, holdsMarked: holdsMarkedWhiteouts(marks, dir, '.') };
  for (const name of names) {
    if (lowers[0].readsFiles && isFileOfFormat(name)) {
      if (hiddenBy(name) === '') continue;
      yield { kind: 'D', path: joinPath(path, hiddenBy(name)), isDirectory: false };
      continue;
    }
    check(statAt(dir, name, stat), { operation: 'stat', path: joinPath(path, name) });
    const kept = typeof getXattr(dir, name, marks.origin) !== 'number';
    const kind = isWhiteoutIn(kinds, dir, name, stat) ? 'D' : kept ? 'C' : 'A';
    yield { kind, path: joinPath(path, name), isDirectory: stat.isDirectory };
  }
}

/** As an upper would have it: what leads to a change was changed too. */
export function withParents(changes: readonly Change[]): Change[] {
  const known = new Map<ByteString, Change>(changes.map((change) => [change.path, change]));
  for (const { path } of changes) {
    for (let end = path.lastIndexOf('/'); end > 0; end = path.lastIndexOf('/', end - 1)) {
      const parent = path.slice(0, end);
      if (!known.has(parent)) known.set(parent, { kind: 'C', path: parent });
    }
  }
  return [...known.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
}

export function sorted(changes: Change[]): Change[] {
  return changes.sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
}
