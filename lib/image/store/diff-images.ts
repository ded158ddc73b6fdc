// SPDX-License-Identifier: MIT
/** What differs between two views, as `docker diff` says it. */
import { type ByteString, joinPath, toText } from '../../base/bytes.js';
import { check, OverlayError } from '../../base/errors.js';
import { getAttributes } from '../../overlay/data/attributes.js';
import { readData } from '../../overlay/data/data.js';
import { getAttribute, listAttributes } from '../../overlay/data/xattr.js';
import type { Change, ChangeKind } from '../../overlay/inspect/diff.js';
import { completeListing } from '../../overlay/names/listing.js';
import { findNode } from '../../overlay/names/lookup.js';
import { readTarget } from '../../overlay/names/walk.js';
import type { Where } from '../../overlay/nodes/file-content.js';
import type { DirectoryNode, OverlayNode } from '../../overlay/nodes/node.js';
import { settle } from '../../overlay/nodes/references.js';
import type { Union } from '../../overlay/nodes/union.js';
import { S_IFLNK, Stat } from '../../sys/stat.js';

const CHUNK = 1 << 20;

/**
 * Files count as the same when all that they are is the same; with `times`, when
 * size and time of the last change are: where one view began as a copy of the other.
 */
export function diffImages(before: Union, after: Union, data: 'content' | 'times' = 'content'): Change[] {
  const comparison = new Comparison(before, after, data);
  comparison.directories(before.root, after.root, '/');
  return comparison.changes.sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
}

class Comparison {
  readonly changes: Change[] = [];
  readonly #old = new Stat();
  readonly #new = new Stat();
  readonly #oldData = Buffer.allocUnsafe(CHUNK);
  readonly #newData = Buffer.allocUnsafe(CHUNK);

  constructor(
    private readonly before: Union,
    private readonly after: Union,
    private readonly data: 'content' | 'times',
  ) {}

  #add(kind: ChangeKind, path: ByteString): void {
    this.changes.push({ kind, path });
  }

  directories(old: DirectoryNode | null, now: DirectoryNode, path: ByteString): void {
    const former = old === null ? new Set<ByteString>() : this.#names(this.before, old, path);
    const present = this.#names(this.after, now, path);
    for (const name of former) if (!present.has(name)) this.#add('D', joinPath(path, name));
    for (const name of present) {
      const whole = joinPath(path, name);
      const newer = this.#find(this.after, now, name, whole);
      const older = former.has(name) ? this.#find(this.before, old!, name, whole) : null;
      this.#pair(older, newer, whole);
      if (older !== null) settle(this.before, older);
      settle(this.after, newer);
    }
  }

  #pair(older: OverlayNode | null, newer: OverlayNode, path: ByteString): void {
    if (older === null) this.#add('A', path);
    else if (!this.#isSame(older, newer, path)) this.#add('C', path);
    if (!newer.isDirectory()) return;
    const olderDirectory = older?.isDirectory() ? older : null;
    if (older === null || !sharesAll(olderDirectory, newer)) this.directories(olderDirectory, newer, path);
  }

  #names(union: Union, directory: DirectoryNode, path: ByteString): Set<ByteString> {
    check(completeListing(union, directory), { operation: 'list', path: toText(path) });
    return new Set(directory.entries.keys());
  }

  #find(union: Union, directory: DirectoryNode, name: ByteString, path: ByteString): OverlayNode {
    const node = findNode(union, directory, name);
    if (typeof node !== 'number') return node;
    throw new OverlayError({ operation: 'look up', path: toText(path), errno: node });
  }

  #isSame(older: OverlayNode, newer: OverlayNode, path: ByteString): boolean {
    if (!older.isDirectory() && !newer.isDirectory() && samePlace(older.where, newer.where)) return true;
    const story = { operation: 'stat', path: toText(path) };
    check(getAttributes(this.before, older, this.#old), story);
    check(getAttributes(this.after, newer, this.#new), story);
    const [a, b] = [this.#old, this.#new];
    if (a.mode !== b.mode || a.uid !== b.uid || a.gid !== b.gid) return false;
    if (a.deviceMajor !== b.deviceMajor || a.deviceMinor !== b.deviceMinor) return false;
    if (!this.#haveSameXattrs(older, newer)) return false;
    if (a.type === S_IFLNK) return readTarget(this.before, older) === readTarget(this.after, newer);
    if (!a.isRegular) return true;
    if (a.size !== b.size) return false;
    if (this.data === 'content') return this.#haveSameData(older, newer, a.size, path);
    return a.modifySeconds === b.modifySeconds && a.modifyNanoseconds === b.modifyNanoseconds;
  }

  #haveSameXattrs(older: OverlayNode, newer: OverlayNode): boolean {
    const all = (union: Union, node: OverlayNode): string => {
      const names = listAttributes(union, node);
      if (typeof names === 'number') return '';
      return names
        .sort()
        .map((name) => `${name}=${String(getAttribute(union, node, name))}`)
        .join('\0');
    };
    return all(this.before, older) === all(this.after, newer);
  }

  #haveSameData(older: OverlayNode, newer: OverlayNode, size: number, path: ByteString): boolean {
    const story = { operation: 'read', path: toText(path) };
    for (let at = 0; at < size; at += CHUNK) {
      const a = check(readData(this.before, older, this.#oldData, CHUNK, at), story);
      const b = check(readData(this.after, newer, this.#newData, CHUNK, at), story);
      if (a !== b || this.#oldData.compare(this.#newData, 0, b, 0, a) !== 0) return false;
    }
    return true;
  }
}

function samePlace(a: Where, b: Where): boolean {
  return (
    a.kind === 'lower' &&
    b.kind === 'lower' &&
    a.name === b.name &&
    a.directory.layer.path === b.directory.layer.path &&
    a.directory.path() === b.directory.path()
  );
}

/** Directories that are merged of the same real ones hold the same. */
function sharesAll(a: DirectoryNode | null, b: DirectoryNode): boolean {
  if (a === null || a.lowers.length !== b.lowers.length) return false;
  return a.lowers.every(
    (real, index) => real.layer.path === b.lowers[index].layer.path && real.path() === b.lowers[index].path(),
  );
}
