// SPDX-License-Identifier: MIT
/**
 * What is being made in a store: a directory that only its maker uses, locked as
 * long as the maker lives. What a killed maker left is told by its lock being free.
 */

import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  statfsSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { cryptography } from '../../base/builtins.js';
import { fromText } from '../../base/bytes.js';
import { EAGAIN, ENOENT } from '../../base/errno.js';
import { check, OverlayError } from '../../base/errors.js';
import {
  close,
  Fd,
  LOCK_EXCLUSIVE,
  LOCK_NONBLOCKING,
  lock,
  O_DIRECTORY,
  O_RDONLY,
  openPath,
  syncFile,
  syncFileSystem,
} from '../../sys/files.js';
import { removeTree } from '../../sys/tree-walk.js';

/** Makes a directory that containers or builds see as one of theirs: passable for all, whatever the umask here. */
export function makeShownDirectory(path: string): void {
  mkdirSync(path, { recursive: true, mode: 0o755 });
  chmodSync(path, 0o755);
}

interface Rooted {
  readonly root: string;
}

/** A directory in `staging/`. Disposing of it removes it with what is left in it. */
export class Staging implements Disposable {
  private constructor(
    readonly path: string,
    private readonly owned: Fd,
  ) {}

  /** A sweeper may take a new directory for an abandoned one before it is locked: then another is made. */
  static make({ root }: Rooted): Staging {
    for (;;) {
      const path = newPath(root);
      try {
        mkdirSync(path, { mode: 0o700 });
      } catch (failure) {
        throw storeFailure('write to the store', root, failure);
      }
      const fd = tryLock(path);
      if (fd !== undefined && existsSync(path)) return new Staging(path, fd);
      fd?.close();
    }
  }

  /**
   * What is at a path in the store, taken away at once and removed when it is disposed of. It becomes a directory
   * in `staging/` itself, so a full disk has room for it.
   */
  static ofRemoved({ root }: Rooted, path: string): Staging {
    const owned = tryLock(path);
    if (owned === undefined)
      throw new OverlayError({ operation: 'remove', path, reason: 'somebody else does' });
    try {
      const staged = newPath(root);
      renameSync(path, staged);
      return new Staging(staged, owned);
    } catch (failure) {
      owned.close();
      throw storeFailure('remove', path, failure);
    }
  }

  [Symbol.dispose](): void {
    removeStaged(this.path);
    this.owned.close();
  }
}

function newPath(root: string): string {
  return join(root, 'staging', cryptography().randomBytes(8).toString('hex'));
}

function removeStaged(path: string): void {
  const story = { operation: 'remove', path };
  using above = new Fd(check(openPath(fromText(dirname(path)), O_RDONLY | O_DIRECTORY), story));
  check(removeTree(above.number, fromText(basename(path))), story);
}

/** What makers that are gone have left in `staging/`: paths. */
export function abandonedStagings({ root }: Rooted): string[] {
  return allStagings(root).filter((path) => {
    const fd = tryLock(path);
    fd?.close();
    return fd !== undefined;
  });
}

function allStagings(root: string): string[] {
  const directory = join(root, 'staging');
  return readdirSync(directory).map((name) => join(directory, name));
}

/** Undefined where the directory is gone or somebody else's. */
function tryLock(path: string): Fd | undefined {
  const number = openPath(fromText(path), O_RDONLY | O_DIRECTORY);
  if (number === -ENOENT) return undefined;
  const fd = new Fd(check(number, { operation: 'open', path }));
  const status = lock(fd.number, LOCK_EXCLUSIVE | LOCK_NONBLOCKING);
  if (status >= 0) return fd;
  fd.close();
  if (status === -EAGAIN) return undefined;
  throw new OverlayError({ operation: 'lock', path, errno: status });
}

/** Removes what makers that are gone have left. */
export function sweepStagings({ root }: Rooted): void {
  for (const path of allStagings(root)) {
    // The lock is held while it goes, so that nobody can begin to use it.
    const fd = tryLock(path);
    if (fd === undefined) continue;
    removeStaged(path);
    fd.close();
  }
}

/** Makes everything below a path durable, before it is given its name. */
export function syncBelow(path: string): void {
  const fd = check(openPath(fromText(path), O_RDONLY), { operation: 'open', path });
  const status = syncFileSystem(fd);
  close(fd);
  check(status, { operation: 'write out', path });
}

/** Makes a name durable. */
export function syncDirectoryOf(path: string): void {
  const directory = dirname(path);
  const fd = check(openPath(fromText(directory), O_RDONLY | O_DIRECTORY), {
    operation: 'open',
    path: directory,
  });
  const status = syncFile(fd);
  close(fd);
  check(status, { operation: 'write out', path: directory });
}

/** Writes a file that is there with all its bytes or not at all; replaces what has the name. */
export function writeFileWhole(store: Rooted, path: string, bytes: Uint8Array): void {
  try {
    using staging = Staging.make(store);
    const temporary = join(staging.path, 'file');
    writeFileSync(temporary, bytes, { mode: 0o600, flush: true });
    renameSync(temporary, path);
    syncDirectoryOf(path);
  } catch (failure) {
    throw storeFailure('write', path, failure);
  }
}

/** Gives a directory its name, unless one with something in it has the name by now. */
export function renameUnlessThere(fresh: string, path: string): void {
  try {
    renameSync(fresh, path);
  } catch (failure) {
    const { code } = failure as NodeJS.ErrnoException;
    if (code !== 'ENOTEMPTY' && code !== 'EEXIST') throw failure;
  }
}

/** What the system refused, as people are told it; anything else as it is. */
export function storeFailure(operation: string, path: string, cause: unknown): unknown {
  const { code, errno, syscall } = cause as NodeJS.ErrnoException;
  if (cause instanceof OverlayError || syscall === undefined) return cause;
  const lack = lackOf(code, path);
  return new OverlayError({
    operation,
    path,
    errno,
    reason: lack,
    remedy: lack && 'free some (`tsoverlay image prune`), or choose another store with --root',
    cause,
  });
}

/** Whether a failure is for want of space. */
export function isFull(failure: unknown): boolean {
  const { code } = failure as NodeJS.ErrnoException;
  return code === 'ENOSPC' || code === 'EDQUOT';
}

/** What is used up, in words; undefined for another failure. */
export function lackOf(code: string | undefined, path: string): string | undefined {
  if (code === 'EDQUOT') return 'the quota is used up';
  if (code !== 'ENOSPC') return undefined;
  let above = path;
  while (!existsSync(above)) above = dirname(above);
  const { files, ffree } = statfsSync(above);
  return files > 0 && ffree === 0 ? 'no inodes are left on the device' : 'no space is left on the device';
}
