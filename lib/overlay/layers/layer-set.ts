// SPDX-License-Identifier: MIT
/** Which directories a union is made of, and how, as its user says. */
import type { RedirectMode, Whiteouts } from './features.js';
import type { IdOptions } from './id-mapping.js';

export interface LayerSet extends IdOptions {
  /** Read-only layers, top first. */
  lowers: readonly string[];
  /** The writable layer; without it the union is read-only. */
  upper?: string | undefined;
  /** A directory on the upper's file system that only this union uses. */
  work?: string | undefined;
  /** Nothing can be changed, though there is an upper. */
  readOnly?: boolean | undefined;
  /** Marks are kept in `user.overlay.*`, for use without privilege; default where `trusted.*` cannot be had. */
  userxattr?: boolean | undefined;
  /** Layers below all others that are reached only for the data of a metacopy, by its redirect. */
  dataLowers?: readonly string[] | undefined;
  /** Whether directories of lower layers can be renamed; default `on`. */
  redirectDir?: RedirectMode | undefined;
  /**
   * Hard links stay one file over copy-up; by default where the upper can hold an index
   * (index-choice.ts). True: it is refused where it cannot.
   */
  index?: boolean | undefined;
  /** Copy-up of metadata alone, where that is all that changes; default false. */
  metacopy?: boolean | undefined;
  /** `lazy`: the first write to a large lower file does not wait for its copy; default `whole`. */
  copyUp?: 'whole' | 'lazy' | undefined;
  /** File handles go on to work after the kernel forgot the file; implies `index`. Default false. */
  nfsExport?: boolean | undefined;
  /** Directories show a link count of 1. */
  staticLinkCount?: boolean | undefined;
  /**
   * `overlay` knows the kernel's whiteouts alone, `aufs` writes `.wh.` files; default `both`:
   * reads both, and writes the kernel's where the upper can hold them.
   */
  whiteout?: Whiteouts | undefined;
  /** Owner, group and mode are kept in an attribute of the upper: 1 the privileged one, 2 that of containers. */
  xattrPermissions?: 0 | 1 | 2 | undefined;
  /** Nothing is synced to disk, and the work directory says so. */
  volatile?: boolean | undefined;
  /** false: nothing is synced to disk. */
  sync?: boolean | undefined;
}

/** Whether something can be changed: there is an upper with a work directory, and it is not only read. */
export function isWritten(set: LayerSet): set is LayerSet & { upper: string; work: string } {
  return set.upper !== undefined && set.work !== undefined && set.readOnly !== true;
}

/** The layers that are only read, top first: an upper that nothing may be written to is one of them. */
export function lowerPaths(set: LayerSet): readonly string[] {
  return isWritten(set) || set.upper === undefined ? set.lowers : [set.upper, ...set.lowers];
}
