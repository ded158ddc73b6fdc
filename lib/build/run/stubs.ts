// SPDX-License-Identifier: MIT
/**
 * Mount points that a container's start makes where the image lacks them: they are the
 * runner's and not the step's, so they are no part of the layer. What the step itself
 * has put there stays.
 */
import { type ByteString, components, fromText } from '../../base/bytes.js';
import { check } from '../../base/errors.js';
import { getAttributes } from '../../overlay/data/attributes.js';
import type { LayerSet } from '../../overlay/layers/layer-set.js';
import { readTarget, walk } from '../../overlay/names/walk.js';
import { release } from '../../overlay/nodes/references.js';
import type { Union } from '../../overlay/nodes/union.js';
import { openUnion } from '../../overlay/open/open.js';
import { changeTimes, listDirectory, removeDirectory, unlink } from '../../sys/entries.js';
import { Fd, O_DIRECTORY, O_RDONLY, openAt, openBeneath, openPath } from '../../sys/files.js';
import { S_IFLNK, S_IFREG, Stat, statAt } from '../../sys/stat.js';
import { listXattrs } from '../../sys/xattrs.js';

const MAX_SYMLINKS = 40;

/** Paths below the root that are not there yet and will be made, each before what lies in it. */
export function missingPlaces(base: LayerSet | undefined, targets: readonly string[]): ByteString[] {
  const union = base === undefined ? undefined : openUnion(base);
  try {
    return [...new Set(targets.flatMap((target) => missingOf(union, fromText(target))))];
  } finally {
    union?.close();
  }
}

function missingOf(union: Union | undefined, target: ByteString): ByteString[] {
  const pending = components(target).reverse();
  const missing: ByteString[] = [];
  let at: ByteString = '';
  let links = 0;
  for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
    const whole = name === '..' ? at.replace(/\/?[^/]*$/, '') : at === '' ? name : `${at}/${name}`;
    const node = union === undefined || missing.length > 0 ? -1 : walk(union, whole, false);
    if (typeof node === 'number') {
      missing.push(whole);
      at = whole;
      continue;
    }
    const link = node.type === S_IFLNK ? readTarget(union!, node) : undefined;
    release(union!, node);
    if (typeof link !== 'string') {
      at = whole;
      continue;
    }
    if (++links > MAX_SYMLINKS) return [];
    pending.push(...components(link).reverse());
    if (link.startsWith('/')) at = '';
  }
  return missing;
}

/** Takes the places from an upper again, where nothing is in them, and directories that were copied up for their sake. */
export function removeStubs(upper: string, base: LayerSet | undefined, places: readonly ByteString[]): void {
  if (places.length === 0) return;
  const story = { operation: 'tidy the layer', path: upper };
  using root = new Fd(check(openPath(fromText(upper), O_RDONLY | O_DIRECTORY), story));
  const union = base === undefined ? undefined : openUnion(base);
  try {
    for (const place of [...places].reverse()) {
      const parent = place.includes('/') ? place.slice(0, place.lastIndexOf('/')) : '';
      if (removeStub(root.number, parent, place.slice(place.lastIndexOf('/') + 1)) && union !== undefined)
        restoreParents(root.number, union, parent);
    }
  } finally {
    union?.close();
  }
}

/** A program may have put a symlink in the way; then the place is no more, and nothing is followed. */
function openDirectory(root: number, path: ByteString): Fd | undefined {
  const fd =
    path === '' ? openAt(root, '.', O_RDONLY | O_DIRECTORY) : openBeneath(root, path, O_RDONLY | O_DIRECTORY);
  return fd < 0 ? undefined : new Fd(fd);
}

function removeStub(root: number, parent: ByteString, name: ByteString): boolean {
  using directory = openDirectory(root, parent);
  const stat = new Stat();
  if (directory === undefined || statAt(directory.number, name, stat) < 0) return false;
  if (stat.isDirectory) return removeDirectory(directory.number, name) >= 0;
  return stat.type === S_IFREG && stat.size === 0 && unlink(directory.number, name) >= 0;
}

/** From a directory upwards: one that is in the upper for nothing goes, and one that stays has its time back. */
function restoreParents(root: number, union: Union, path: ByteString): void {
  for (let at = path; at !== ''; at = at.includes('/') ? at.slice(0, at.lastIndexOf('/')) : '') {
    const below = new Stat();
    const node = walk(union, at, false);
    if (typeof node === 'number') return;
    const status = getAttributes(union, node, below);
    release(union, node);
    if (status < 0 || !restore(root, at, below)) return;
  }
}

/** Answers whether the directory went. */
function restore(root: number, path: ByteString, below: Stat): boolean {
  const at = path.lastIndexOf('/');
  using parent = openDirectory(root, path.slice(0, Math.max(0, at)));
  if (parent === undefined) return false;
  const name = path.slice(at + 1);
  const stat = new Stat();
  if (statAt(parent.number, name, stat) < 0) return false;
  const { modifySeconds, modifyNanoseconds } = below;
  const isSame = stat.mode === below.mode && stat.uid === below.uid && stat.gid === below.gid;
  if (isSame && isEmpty(parent.number, name)) return removeDirectory(parent.number, name) >= 0;
  const times = { accessSeconds: stat.accessSeconds, accessNanoseconds: stat.accessNanoseconds };
  changeTimes(parent.number, name, { ...times, modifySeconds, modifyNanoseconds });
  return false;
}

/** Nothing is in it, and no attribute says anything but where it was copied from. */
function isEmpty(parent: number, name: ByteString): boolean {
  const opened = openAt(parent, name, O_RDONLY | O_DIRECTORY);
  if (opened < 0) return false;
  using fd = new Fd(opened);
  let count = 0;
  listDirectory(fd.number, () => ++count === 0);
  const attributes = listXattrs(fd.number, '.');
  const isPlain =
    typeof attributes !== 'number' && attributes.every((one) => /\.overlay\.(origin|impure)$/.test(one));
  return count === 0 && isPlain;
}
