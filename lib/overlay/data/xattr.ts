// SPDX-License-Identifier: MIT
/**
 * Extended attributes of nodes. The marks of this overlay are not shown and
 * cannot be set: a name in their namespace is stored one step further in, so
 * that an overlay on top of this one works (overlayfs.rst, "Nested overlayfs mounts").
 * Attributes in which a layer keeps owners and modes (override-stat.ts) are neither shown nor set.
 */
import type { ByteString } from '../../base/bytes.js';
import { EEXIST, ENODATA, EOPNOTSUPP, EPERM, type Errno } from '../../base/errno.js';
import { CAP_SYS_ADMIN, type Caller, isCapable } from '../../sys/callers.js';
import { getXattr, listXattrs, removeXattr, setXattr } from '../../sys/xattrs.js';
import { copyUpMetadata, isInUpper } from '../copy-up/copy-up.js';
import { isOverride } from '../formats/override-stat.js';
import { declare, declared } from '../nodes/declare.js';
import type { OverlayNode } from '../nodes/node.js';
import type { Union } from '../nodes/union.js';

const XATTR_CREATE = 1;
const CAPABILITY = 'security.capability';

export function getAttribute(union: Union, node: OverlayNode, name: ByteString): Buffer | Errno {
  if (isOverride(name)) return -ENODATA;
  if (name === CAPABILITY && !node.isDirectory() && node.lacksCapability) return -ENODATA;
  const { place } = union;
  const located = union.locate(node, place);
  if (located < 0) return located;
  const value = getXattr(place.fd, place.name, union.marks.toDisk(name));
  if (value === -ENODATA && name === CAPABILITY && !node.isDirectory()) node.lacksCapability = true;
  return value;
}

/** `by` is null for a caller that has the server's own rights. */
export function listAttributes(
  union: Union,
  node: OverlayNode,
  by: Caller | null = null,
): ByteString[] | Errno {
  const { place, marks } = union;
  const located = union.locate(node, place);
  if (located < 0) return located;
  const names = listXattrs(place.fd, place.name);
  if (names === -EOPNOTSUPP) return [];
  if (typeof names === 'number') return names;
  const shown = names.filter((name) => !marks.isOwn(name) && !isOverride(name));
  return withoutTrusted(shown, by).map((name) => marks.fromDisk(name));
}

/** The kernel refuses to read `trusted.*` itself, but leaves the list to the file system (simple_xattr_list, ovl_can_list). */
function withoutTrusted(names: ByteString[], by: Caller | null): ByteString[] {
  if (by === null || !names.some(isTrusted) || isCapable(by, CAP_SYS_ADMIN)) return names;
  return names.filter((name) => !isTrusted(name));
}

function isTrusted(name: ByteString): boolean {
  return name.startsWith('trusted.');
}

/** `flags`: XATTR_CREATE, XATTR_REPLACE or 0. */
export function setAttribute(
  union: Union,
  node: OverlayNode,
  name: ByteString,
  value: Uint8Array,
  flags: number,
): Errno {
  // It would say who owns the file, to us or to whoever stacks the upper: the owner of a file would choose setuid root.
  if (isOverride(name)) return -EPERM;
  const status = copyUpMetadata(union, node);
  if (status < 0) return status;
  const { place } = union;
  const located = union.locate(node, place);
  if (!node.isDirectory()) node.lacksCapability = false;
  if (located < 0) return located;
  const stored = union.marks.toDisk(name);
  if (flags !== XATTR_CREATE || union.journal === null)
    return setXattr(place.fd, place.name, stored, value, flags);
  if (declared(union, 'attribute') !== null) return setXattr(place.fd, place.name, stored, value);
  // Asked beforehand, so that it is known to be new when a new server is asked for it again.
  if (typeof getXattr(place.fd, place.name, stored) !== 'number') return -EEXIST;
  declare(union, { kind: 'attribute' });
  return setXattr(place.fd, place.name, stored, value, flags);
}

export function removeAttribute(union: Union, node: OverlayNode, name: ByteString): Errno {
  if (isOverride(name)) return -ENODATA;
  // Asked before the copy-up, so that removing what is not there does not cause one.
  if (!isInUpper(node)) {
    const present = getAttribute(union, node, name);
    if (typeof present === 'number') return present;
  }
  const status = copyUpMetadata(union, node);
  if (status < 0) return status;
  const { place } = union;
  const located = union.locate(node, place);
  if (located < 0) return located;
  const stored = union.marks.toDisk(name);
  const again = declared(union, 'attribute') !== null;
  if (union.journal !== null && !again && typeof getXattr(place.fd, place.name, stored) !== 'number') {
    declare(union, { kind: 'attribute' });
  }
  const removed = removeXattr(place.fd, place.name, stored);
  return again && removed === -ENODATA ? 0 : removed;
}
