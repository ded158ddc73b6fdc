// SPDX-License-Identifier: MIT
/** What a work directory and its upper must be like to be used: nobody else's, and without strangers. */
import type { ByteString } from '../../base/bytes.js';
import { EAGAIN, EEXIST, ENOENT } from '../../base/errno.js';
import { check, OverlayError } from '../../base/errors.js';
import { listDirectory } from '../../sys/entries.js';
import {
  close,
  LOCK_EXCLUSIVE,
  LOCK_NONBLOCKING,
  lock,
  O_DIRECTORY,
  O_PATH,
  openAt,
} from '../../sys/files.js';
import { openReadable } from '../../sys/handles.js';
import { Stat, statAt } from '../../sys/stat.js';

const KNOWN_CONTENTS = new Set(['work', 'index']);

/** Takes the lock (flock(2), gone with its holder) that keeps others away. Throws an OverlayError where somebody has it. */
export function takeLock(directory: number, path: string, kind: 'upper' | 'work'): number {
  const fd = check(openReadable(directory), { operation: `open ${kind} directory`, path });
  const status = lock(fd, LOCK_EXCLUSIVE | LOCK_NONBLOCKING);
  if (status === 0) return fd;
  close(fd);
  throw new OverlayError({
    operation: `use ${kind} directory`,
    path,
    errno: status,
    reason: status === -EAGAIN ? 'another live mount uses it' : undefined,
    remedy: 'see `tsoverlay mounts`, and unmount the other or choose another directory',
  });
}

export function refuseStrangers(workRoot: number, path: string): void {
  let stranger: ByteString | undefined;
  listDirectory(workRoot, (name) => {
    if (!KNOWN_CONTENTS.has(name)) stranger = name;
    return stranger === undefined;
  });
  if (stranger === undefined) return;
  throw new OverlayError({
    operation: 'use work directory',
    path,
    errno: -EEXIST,
    reason: `it holds ${JSON.stringify(stranger)}, which no earlier mount left there`,
    remedy: 'give an empty directory, or one that was a work directory before',
  });
}

/** A volatile mount that was not unmounted cleanly may have lost data (overlayfs.rst, "Volatile mount"). */
export function refuseVolatile(fd: number, path: string): void {
  const incompat = openAt(fd, 'incompat', O_PATH | O_DIRECTORY);
  if (incompat < 0) return;
  const found = statAt(incompat, 'volatile', new Stat());
  close(incompat);
  if (found === -ENOENT) return;
  throw new OverlayError({
    operation: 'use work directory',
    path,
    reason: 'its upper was mounted volatile and may be incomplete',
    remedy: `discard the upper, or delete ${path}/work/incompat/volatile to keep it as it is`,
  });
}
