// SPDX-License-Identifier: MIT
/**
 * Where a file of the merged view is, in two tagged values: which object stands for it, and which
 * one has its data. These differ for metacopies alone (names/metacopy.ts, copy-up/lazy-copy.ts).
 */
import type { ByteString } from '../../base/bytes.js';
import type { Indexed } from '../layers/index-directory.js';
import type { RealDirectory } from '../layers/layer.js';
import type { LayerWatch } from '../layers/layer-watch.js';

/** Where a lower layer holds a file; never changes, because lower layers do not. */
export interface LowerPlace {
  readonly directory: RealDirectory;
  readonly name: ByteString;
}

/** The object that stands for a file: it has its attributes, and is what a change would change. */
export type Where =
  | InLower
  /** In the upper, by the first of the file's names. */
  | { readonly kind: 'upper' }
  /** In the index, copied up; its names are links to that. */
  | { readonly kind: 'index'; readonly indexed: Indexed }
  /** In the work directory, of a file without a name. */
  | { readonly kind: 'orphan'; readonly name: ByteString };

export interface InLower extends LowerPlace {
  readonly kind: 'lower';
  /** What the index knows of a file with several names. */
  readonly indexed: Indexed | null;
}

export const UPPER: Where = Object.freeze({ kind: 'upper' });

export function inLower({ directory, name }: LowerPlace, indexed: Indexed | null = null): InLower {
  return { kind: 'lower', directory, name, indexed };
}

/** What has the data of a file. */
export type FileData =
  /** The object that stands for the file. */
  | { readonly kind: 'own' }
  /** Nobody has asked yet (resolveData). */
  | { readonly kind: 'unknown' }
  /** A file in a lower layer: the object is a metacopy. */
  | { readonly kind: 'below'; readonly source: LowerPlace }
  | LazyCopy;

/** The object has what was copied to it so far, a file in a lower layer the rest. Holds a reference to its node. */
export interface LazyCopy {
  readonly kind: 'lazy';
  readonly source: LowerPlace;
  readonly from: number;
  readonly to: number;
  /** The lower layer is asked for leave before the file is (layer-watch.ts). */
  readonly watch: { current: LayerWatch };
  /** Bytes of the lower file; beyond them there is nothing to copy. */
  readonly size: number;
  /** One a chunk: 1 where the copy has the data. */
  readonly filled: Uint8Array;
  /** All chunks before this one are filled. */
  next: number;
  /** In the list of the work directory. */
  record: ByteString;
}

export const OWN: FileData = Object.freeze({ kind: 'own' });
export const UNKNOWN: FileData = Object.freeze({ kind: 'unknown' });

/** The lower file that data comes from, where it is not, or not yet all, in the object itself. */
export function sourceOf(data: FileData): LowerPlace | null {
  return data.kind === 'below' || data.kind === 'lazy' ? data.source : null;
}
