// SPDX-License-Identifier: MIT
/** Which of node:fs/promises an overlay offers, as types: Node's own, so that a caller may have either. */

import type * as fs from 'node:fs';
import type { Dirent, ReadStream, WriteStream } from 'node:fs';
import type * as promises from 'node:fs/promises';
import type { View } from './view.js';

type Functions = Pick<
  typeof promises,
  | 'access'
  | 'appendFile'
  | 'chmod'
  | 'chown'
  | 'constants'
  | 'copyFile'
  | 'cp'
  | 'lchmod'
  | 'lchown'
  | 'link'
  | 'lstat'
  | 'lutimes'
  | 'mkdir'
  | 'mkdtemp'
  | 'open'
  | 'opendir'
  | 'readFile'
  | 'readdir'
  | 'readlink'
  | 'realpath'
  | 'rm'
  | 'rmdir'
  | 'stat'
  | 'statfs'
  | 'symlink'
  | 'truncate'
  | 'unlink'
  | 'utimes'
  | 'watch'
  | 'writeFile'
>;

export interface OverlayGlobOptions {
  /** Where relative patterns begin; default the root. */
  cwd?: string | URL | undefined;
  /** What is neither given nor entered. */
  exclude?: ((path: string) => boolean) | readonly string[] | undefined;
}

export interface FilePromises extends Functions {
  /** `flags`, which Node has not: 1 is RENAME_NOREPLACE, 2 RENAME_EXCHANGE (renameat2(2)). */
  rename(from: fs.PathLike, to: fs.PathLike, flags?: 0 | 1 | 2): Promise<void>;
  createReadStream(...of: Parameters<typeof fs.createReadStream>): ReadStream;
  createWriteStream(...of: Parameters<typeof fs.createWriteStream>): WriteStream;
  glob(
    pattern: string | readonly string[],
    options?: OverlayGlobOptions & { withFileTypes?: false },
  ): AsyncIterableIterator<string>;
  glob(
    pattern: string | readonly string[],
    options: Omit<OverlayGlobOptions, 'exclude'> & {
      withFileTypes: true;
      exclude?: ((entry: Dirent) => boolean) | readonly string[] | undefined;
    },
  ): AsyncIterableIterator<Dirent>;
}

export type FileCalls = new (view: View) => FilePromises;
