// SPDX-License-Identifier: MIT
/** What a union does in the cases that its options decide. */
import type { IdMapping } from './id-mapping.js';

/**
 * Which whiteouts are known: the kernel's alone, `.wh.` files beside them (read,
 * never written), or files alone when writing (file-whiteouts.ts).
 */
export type Whiteouts = 'overlay' | 'both' | 'aufs';

/**
 * Redirects of renamed directories (overlayfs.rst, "redirect_dir"): made and
 * followed, followed only, or not followed: then a directory that has one cannot
 * be entered. `off` is `follow`, as it is with the kernel's default module options.
 */
export type RedirectMode = 'on' | 'follow' | 'nofollow' | 'off';

export interface UnionFeatures {
  redirects: RedirectMode;
  /** A change of owner or mode copies up the metadata alone; the data follows at the first write. */
  metacopy: boolean;
  /** The first write to a large lower file does not wait for its copy. */
  lazyCopyUp: boolean;
  /** A node with a name is kept when nobody counts on it any more: a file handle may name it. */
  keepsNodes: boolean;
  /** Directories have a link count of 1. */
  staticLinkCount: boolean;
  /** Ids on disk and in the view, where they differ. */
  ids: IdMapping | null;
  /** fsync reaches the disk, and copy-up waits for it. */
  sync: boolean;
  whiteouts: Whiteouts;
  /** How many names a file has is kept over remounts also where none of them was copied up. */
  exactLinkCounts: boolean;
}
