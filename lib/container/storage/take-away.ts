// SPDX-License-Identifier: MIT
/** Unmounting what the kernel serves. */
import { fromText } from '../../base/bytes.js';
import { EBUSY, EINVAL } from '../../base/errno.js';
import { check } from '../../base/errors.js';
import { MNT_DETACH, UMOUNT_NOFOLLOW, unmountFileSystem } from '../../sys/mounts.js';
import type { ShownRoot } from './storage-driver.js';

/** Programs that a person left in it keep the mount; it goes from the tree all the same. */
export function takeAway(target: string): void {
  let status = unmountFileSystem(fromText(target), UMOUNT_NOFOLLOW);
  if (status === -EBUSY) status = unmountFileSystem(fromText(target), UMOUNT_NOFOLLOW | MNT_DETACH);
  // EINVAL: somebody else has taken it away.
  if (status !== -EINVAL) check(status, { operation: 'unmount', path: target });
}

/** A root file system that the kernel serves, as long as it is mounted. */
export function shownByKernel(target: string): ShownRoot {
  return { release: async () => takeAway(target) };
}
