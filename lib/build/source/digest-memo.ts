// SPDX-License-Identifier: MIT
/**
 * Digests of files of a context from build to build, as long as the files are as they
 * were: same inode, size, and times of the last change of content and attributes, as
 * git's index tells it ("racy git"). A file that was changed a moment before it was
 * read is read again the next time, since a clock that ticks too slowly for a second
 * change would hide it.
 *
 *   contexts/HEX.json   one context, by a digest of its path; replaced whole
 */
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type Digest, digestOf, hexOf, isDigest } from '../../image/model/digest.js';
import { writeFileWhole } from '../../image/store/staging.js';
import type { Store } from '../../image/store/store.js';
import type { Stat } from '../../sys/stat.js';

/** More than the ticks of any file system's clock. */
const SETTLED_SECONDS = 2;

export class DigestMemo {
  readonly #before: Map<string, Digest>;
  readonly #now = new Map<string, Digest>();
  readonly #path: string;
  #isChanged = false;

  constructor(
    private readonly store: Store,
    context: string,
  ) {
    this.#path = join(store.root, 'contexts', `${hexOf(digestOf(context))}.json`);
    this.#before = read(this.#path);
  }

  /** The digest of a file, known or found by `compute`. */
  digest(stat: Stat, compute: () => Digest): Digest {
    const key = keyOf(stat);
    const known = this.#now.get(key) ?? this.#before.get(key);
    const isSettled = Date.now() / 1000 - stat.changeSeconds > SETTLED_SECONDS;
    const digest = known ?? compute();
    if (known === undefined && isSettled) this.#isChanged = true;
    if (known !== undefined || isSettled) this.#now.set(key, digest);
    return digest;
  }

  /** Keeps what this build has met. */
  save(): void {
    if (!this.#isChanged) return;
    const directory = join(this.store.root, 'contexts');
    if (!existsSync(directory)) mkdirSync(directory, { recursive: true, mode: 0o700 });
    // What was met before and not now may be met again by another Dockerfile of the same context.
    const all = this.#now.size * 2 > this.#before.size ? this.#now : new Map([...this.#before, ...this.#now]);
    writeFileWhole(this.store, this.#path, Buffer.from(JSON.stringify([...all])));
  }
}

/** Forgets all contexts; they are read again. */
export function forgetContexts({ root }: Pick<Store, 'root'>): void {
  rmSync(join(root, 'contexts'), { recursive: true, force: true });
}

function keyOf({ fileSystem, inodeHigh, inodeLow, size, mode, uid, gid, ...times }: Stat): string {
  const { modifySeconds, modifyNanoseconds, changeSeconds, changeNanoseconds } = times;
  return [
    fileSystem,
    inodeHigh,
    inodeLow,
    size,
    mode,
    uid,
    gid,
    modifySeconds,
    modifyNanoseconds,
    changeSeconds,
    changeNanoseconds,
  ].join(' ');
}

function read(path: string): Map<string, Digest> {
  if (!existsSync(path)) return new Map();
  try {
    const entries = JSON.parse(readFileSync(path, 'utf8')) as [string, Digest][];
    return new Map(entries.filter(([, digest]) => isDigest(digest)));
  } catch {
    // A full disk cut it short, or somebody wrote into it: everything is read again.
    return new Map();
  }
}
