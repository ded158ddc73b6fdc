// SPDX-License-Identifier: MIT
/**
 * The store of images: one directory that is an OCI image layout (image-layout.md),
 * so that other tools read it, with the unpacked layers beside it.
 *
 *   oci-layout, index.json      the layout; index.json names the images
 *   blobs/sha256/HEX            manifests, configurations, layers as they were distributed
 *   layers/HEX/diff             a layer unpacked, by its diff ID; layer.json says what it is
 *   empty/                      the view of an image without layers
 *   reserve/                    space for removals (reserve.ts)
 *   staging/NAME/               what is being made; each is locked by its maker
 *   locks/                      see lock.ts
 *
 * Everything becomes visible by one rename and only when it is complete and
 * verified, and is never changed then. What nothing names is garbage, not damage.
 */
import { chmodSync, existsSync, mkdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import { OverlayError } from '../../base/errors.js';
import { type Digest, digestOf, hexOf } from '../model/digest.js';
import { LARGEST_DOCUMENT } from '../model/manifest.js';
import { REMOVAL_LOCKS } from './lock.js';
import { fillReserve } from './reserve.js';
import { lackOf, writeFileWhole } from './staging.js';

/** Root's own, where nothing else is said. */
export const SYSTEM_ROOT = '/var/lib/tsoverlay';

/** Where the store is when nothing else is said: /var/lib/tsoverlay for root, XDG_DATA_HOME for others. */
export function defaultRoot(): string {
  const given = process.env.TSOVERLAY_ROOT;
  if (given !== undefined && given !== '') return resolve(given);
  if (process.getuid!() === 0) return SYSTEM_ROOT;
  const data = process.env.XDG_DATA_HOME;
  return join(data !== undefined && isAbsolute(data) ? data : join(homedir(), '.local/share'), 'tsoverlay');
}

const LAYOUT = Buffer.from('{"imageLayoutVersion":"1.0.0"}');
const EMPTY_INDEX = Buffer.from(
  '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}',
);

/** As mkdir -p; Node's own does not end where the system says ENOENT for a parent that is there, as in /proc. */
function makeDirectories(path: string): void {
  if (existsSync(path)) return;
  const above = dirname(path);
  if (above !== path) makeDirectories(above);
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (failure) {
    // Another command may have been first.
    if ((failure as NodeJS.ErrnoException).code !== 'EEXIST') throw failure;
  }
}

export class Store {
  private constructor(
    /** Absolute. */
    readonly root: string,
  ) {}

  /** Opens the store, making it if there is none. Throws an OverlayError where the directory cannot serve. */
  static open(root = defaultRoot()): Store {
    const store = new Store(resolve(root));
    try {
      // Content of images may be secret, and setuid programs in them are for nobody else to run.
      for (const part of ['.', 'blobs', 'blobs/sha256', 'layers', 'staging', 'locks']) {
        makeDirectories(join(store.root, part));
      }
      store.#makeLocks();
      store.#makeEmpty();
      if (!existsSync(store.indexPath)) writeFileWhole(store, store.indexPath, EMPTY_INDEX);
      const layout = join(store.root, 'oci-layout');
      if (!existsSync(layout)) writeFileWhole(store, layout, LAYOUT);
      fillReserve(store);
    } catch (cause) {
      const { code, errno } = cause as NodeJS.ErrnoException;
      throw new OverlayError({
        operation: 'open the store',
        path: store.root,
        errno,
        reason: lackOf(code, store.root),
        remedy: 'choose another directory with --root or TSOVERLAY_ROOT',
        cause,
      });
    }
    return store;
  }

  get indexPath(): string {
    return join(this.root, 'index.json');
  }

  blobPath(digest: Digest): string {
    return join(this.root, 'blobs/sha256', hexOf(digest));
  }

  hasBlob(digest: Digest): boolean {
    return existsSync(this.blobPath(digest));
  }

  /** The directory of an unpacked layer. */
  layerPath(diffId: Digest): string {
    return join(this.root, 'layers', hexOf(diffId));
  }

  hasLayer(diffId: Digest): boolean {
    return existsSync(join(this.layerPath(diffId), 'layer.json'));
  }

  /** What is mounted as a layer. */
  diffPath(diffId: Digest): string {
    return join(this.layerPath(diffId), 'diff');
  }

  /** What is mounted for layers together, top first; for none of them a directory that is empty. */
  lowersOf(diffIds: readonly Digest[]): string[] {
    return diffIds.length === 0 ? [this.emptyPath] : diffIds.map((diffId) => this.diffPath(diffId)).reverse();
  }

  /** What an image without layers shows; it is there always. */
  get emptyPath(): string {
    return join(this.root, 'empty');
  }

  /** Those that removals take: on a full disk none can be made. */
  #makeLocks(): void {
    for (const name of REMOVAL_LOCKS) {
      const path = join(this.root, 'locks', name);
      if (!existsSync(path)) writeFileSync(path, '', { mode: 0o600, flag: 'a' });
    }
  }

  /** The same each time: it is the root directory of what is built on it. */
  #makeEmpty(): void {
    if (existsSync(this.emptyPath)) return;
    makeDirectories(this.emptyPath);
    chmodSync(this.emptyPath, 0o755);
    utimesSync(this.emptyPath, 0, 0);
  }

  /** A manifest or a configuration. Throws an OverlayError where it is missing, damaged, or too large to be one. */
  readDocument(digest: Digest): Buffer {
    const path = this.blobPath(digest);
    const story = {
      operation: 'read',
      path,
      remedy: 'run `tsoverlay system check --repair` and pull the image again',
    };
    let bytes: Buffer;
    try {
      bytes = readFileSync(path);
    } catch (cause) {
      throw new OverlayError({ ...story, reason: 'the store has lost it', cause });
    }
    if (bytes.length > LARGEST_DOCUMENT || digestOf(bytes) !== digest) {
      throw new OverlayError({ ...story, reason: 'it is damaged' });
    }
    return bytes;
  }

  /** Keeps a document; answers its digest. */
  writeDocument(bytes: Uint8Array): Digest {
    const digest = digestOf(bytes);
    if (!this.hasBlob(digest)) writeFileWhole(this, this.blobPath(digest), bytes);
    return digest;
  }
}
