// SPDX-License-Identifier: MIT
/** What an entry of an archive says of a file besides its data: owner, mode, attributes, times. */
import type { ByteString } from '../../base/bytes.js';
import { toText } from '../../base/bytes.js';
import { EINVAL, EOPNOTSUPP, EPERM, errnoName } from '../../base/errno.js';
import { changeMode, changeOwner, changeTimes } from '../../sys/entries.js';
import { setXattr } from '../../sys/xattrs.js';
import type { TarEntry } from '../tar/format.js';
import { refusal, unpackFailure } from './failure.js';

/** Attributes that a file system may lack without the file losing anything that it needs here. */
const DISPENSABLE = /^security\.(selinux|ima|evm|apparmor|smack)/i;
/** What Linux has (xattr(7)); attributes of other systems, as macOS's `com.apple.*`, mean nothing here. */
const NAMESPACE = /^(user|trusted|security|system)\./;

/** Sets all but the times. Owner before mode: a change of owner takes setuid and setgid away. Throws an OverlayError. */
export function setAttributes(parent: number, name: ByteString, entry: TarEntry, layer: string): void {
  const path = toText(entry.name);
  const { type, uid, gid, mode, xattrs } = entry;
  const owned = changeOwner(parent, name, uid, gid);
  // EINVAL: the id is none of this user namespace.
  if (owned === -EPERM || owned === -EINVAL) {
    throw refusal(
      path,
      layer,
      `it belongs to ${uid}:${gid}, which this user may not give`,
      'run as root, or in a user namespace with a range of ids (unshare --map-auto --map-root-user -m)',
    );
  }
  if (owned < 0) throw unpackFailure(owned, path, layer);
  const changed = type === 'symlink' ? 0 : changeMode(parent, name, mode);
  if (changed < 0) throw unpackFailure(changed, path, layer);
  for (const [attribute, value] of xattrs) {
    // Marks of an overlay mean something to the mount, so both spellings are put one step further in.
    const stored = attribute.replace(/^(trusted|user)\.overlay\./, '$1.overlay.overlay.');
    const status = NAMESPACE.test(attribute) ? setXattr(parent, name, stored, value) : 0;
    if (status < 0 && !isDispensable(status, attribute, entry)) {
      throw refusal(
        path,
        layer,
        `its attribute ${toText(attribute)} cannot be set: ${errnoName(status)}`,
        'put the store on a file system that takes extended attributes',
      );
    }
  }
}

function isDispensable(status: number, attribute: ByteString, { type }: TarEntry): boolean {
  if (status !== -EOPNOTSUPP && status !== -EPERM) return false;
  // No file system keeps attributes of users but on files and directories (xattr(7)).
  const isForeign = attribute.startsWith('user.') && type !== 'file' && type !== 'directory';
  return isForeign || DISPENSABLE.test(attribute);
}

/** The time of the entry as both of a file's. */
export function setTimes(
  parent: number,
  name: ByteString,
  { modifySeconds, modifyNanoseconds }: Pick<TarEntry, 'modifySeconds' | 'modifyNanoseconds'>,
): number {
  return changeTimes(parent, name, {
    accessSeconds: modifySeconds,
    accessNanoseconds: modifyNanoseconds,
    modifySeconds,
    modifyNanoseconds,
  });
}
