// SPDX-License-Identifier: MIT
/**
 * Directories that `RUN --mount=type=cache` keeps from build to build.
 *
 *   mount-caches/NAME/data        what is mounted
 *   mount-caches/NAME/about.json  what it is for, for people
 *
 * A step that uses one shares the lock `mount-cache-NAME`, or holds it alone where its mount
 * says so; pruning holds it alone. One appears by rename when it is filled.
 */
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fromText } from '../../base/bytes.js';
import { check } from '../../base/errors.js';
import { digestOf, hexOf } from '../../image/model/digest.js';
import { StoreLock } from '../../image/store/lock.js';
import { renameUnlessThere, Staging } from '../../image/store/staging.js';
import type { Store } from '../../image/store/store.js';
import { changeMode, changeOwner } from '../../sys/entries.js';
import { AT_FDCWD } from '../../sys/files.js';
import type { CacheMount } from '../language/run-mount.js';

export interface MountCache extends Disposable {
  /** The directory to be mounted. */
  path: string;
}

function directoryOf({ root }: Pick<Store, 'root'>): string {
  return join(root, 'mount-caches');
}

function nameOf(id: string, number: number): string {
  return hexOf(digestOf(number === 0 ? id : `${id}\n${number}`)).slice(0, 32);
}

/** Takes a cache for one step, filled by `fill` when it is new. */
export async function takeMountCache(
  store: Store,
  { id, sharing, mode, uid, gid }: CacheMount,
  fill: ((directory: string) => Promise<void>) | undefined,
  signal: AbortSignal,
): Promise<MountCache> {
  const all = directoryOf(store);
  if (!existsSync(all)) mkdirSync(all, { recursive: true, mode: 0o700 });
  const { name, lock } = await takeName(store, id, sharing, signal);
  const path = join(all, name);
  try {
    if (!existsSync(path)) {
      using staging = Staging.make(store);
      const fresh = join(staging.path, 'cache');
      mkdirSync(join(fresh, 'data'), { recursive: true, mode: 0o755 });
      await fill?.(join(fresh, 'data'));
      const story = { operation: 'make a cache', path };
      check(changeOwner(AT_FDCWD, fromText(join(fresh, 'data')), uid, gid), story);
      check(changeMode(AT_FDCWD, fromText(join(fresh, 'data')), mode), story);
      writeFileSync(join(fresh, 'about.json'), JSON.stringify({ id }), { mode: 0o600 });
      // Another step may have been first: then its is taken.
      renameUnlessThere(fresh, path);
    }
    const now = new Date();
    utimesSync(path, now, now);
  } catch (failure) {
    lock[Symbol.dispose]();
    throw failure;
  }
  return { path: join(path, 'data'), [Symbol.dispose]: () => lock[Symbol.dispose]() };
}

async function takeName(
  store: Store,
  id: string,
  sharing: CacheMount['sharing'],
  signal: AbortSignal,
): Promise<{ name: string; lock: StoreLock }> {
  if (sharing !== 'private') {
    const name = nameOf(id, 0);
    return { name, lock: await StoreLock.take(store.root, lockName(name), sharing === 'shared', signal) };
  }
  for (let number = 0; ; number++) {
    const name = nameOf(id, number);
    const lock = StoreLock.tryTake(store.root, lockName(name), false);
    if (lock !== undefined) return { name, lock };
  }
}

function lockName(name: string): string {
  return `mount-cache-${name}`;
}

export interface KnownMountCache {
  name: string;
  id: string;
  /** Milliseconds since 1970. */
  used: number;
  /** What it keeps. */
  path: string;
}

export function listMountCaches(store: Store): KnownMountCache[] {
  const all = directoryOf(store);
  if (!existsSync(all)) return [];
  return readdirSync(all).flatMap((name) => {
    const path = join(all, name);
    const stat = statSync(path, { throwIfNoEntry: false });
    return stat === undefined
      ? []
      : [{ name, id: idOf(path) ?? name, used: stat.mtimeMs, path: join(path, 'data') }];
  });
}

function idOf(path: string): string | undefined {
  try {
    return (JSON.parse(readFileSync(join(path, 'about.json'), 'utf8')) as { id?: string }).id;
  } catch {
    // It went meanwhile, or was damaged: then it has its file's name.
    return undefined;
  }
}

/** Takes one away; answers false where a build is using it. */
export function removeMountCache(store: Store, { name }: KnownMountCache): boolean {
  using lock = StoreLock.tryTake(store.root, lockName(name), false);
  if (lock === undefined) return false;
  using _removed = Staging.ofRemoved(store, join(directoryOf(store), name));
  return true;
}
