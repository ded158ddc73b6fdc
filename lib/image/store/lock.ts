// SPDX-License-Identifier: MIT
/**
 * Locks between commands that work on one store: flock(2), which the kernel
 * releases when the owner dies, so none is ever left behind.
 *
 * Order: `collection` before `names` before a layer's own.
 * - collection: shared by commands that add content that nothing names yet, and by mounts until
 *   they are in the list of mounts; exclusive for commands that remove what
 *   nothing names.
 * - names: exclusive for the moment in which the list of images is changed.
 * - a digest: exclusive while that layer is unpacked; others wait and then find it.
 */
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fromText } from '../../base/bytes.js';
import { EAGAIN, EINTR } from '../../base/errno.js';
import { check, OverlayError } from '../../base/errors.js';
import {
  Fd,
  LOCK_EXCLUSIVE,
  LOCK_NONBLOCKING,
  LOCK_SHARED,
  lock,
  O_CREAT,
  O_RDWR,
  openPath,
} from '../../sys/files.js';

const POLL_MS = 20;

/** Locks that a removal may need. */
export const REMOVAL_LOCKS = ['collection', 'names', 'network', 'btrfs'] as const;

export class StoreLock implements Disposable {
  private constructor(private readonly fd: Fd) {}

  [Symbol.dispose](): void {
    this.fd.close();
  }

  /** Answers undefined where somebody else has it. Throws an OverlayError where no lock can be made. */
  static tryTake(root: string, name: string, shared: boolean): StoreLock | undefined {
    const path = join(root, 'locks', name);
    const story = { operation: 'lock the store', path };
    const fd = new Fd(check(openPath(fromText(path), O_RDWR | O_CREAT, 0o600), story));
    const status = lock(fd.number, (shared ? LOCK_SHARED : LOCK_EXCLUSIVE) | LOCK_NONBLOCKING);
    if (status >= 0) return new StoreLock(fd);
    fd.close();
    if (status === -EAGAIN || status === -EINTR) return undefined;
    throw new OverlayError({ ...story, errno: status });
  }

  /** Waits until it can be had, or until the signal ends the wait. */
  static async take(root: string, name: string, shared = false, signal?: AbortSignal): Promise<StoreLock> {
    for (;;) {
      const taken = StoreLock.tryTake(root, name, shared);
      if (taken !== undefined) return taken;
      await delay(POLL_MS, undefined, { signal });
    }
  }
}
