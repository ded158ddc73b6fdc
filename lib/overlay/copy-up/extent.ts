// SPDX-License-Identifier: MIT
/** How much of a file a copy-up brings to the upper: the caller knows what the change that follows needs. */

export type CopyUp =
  /** No data is changed: where the union has metacopies the data stays below (overlayfs.rst, "Metadata only copy up"). */
  | { readonly kind: 'metadata' }
  /** The caller writes, and can do so while the copy is in flight (lazy-copy.ts). */
  | { readonly kind: 'lazy' }
  | { readonly kind: 'whole' }
  /** The file is truncated next: data beyond `size` is not copied. */
  | { readonly kind: 'truncated'; readonly size: number };

export const METADATA: CopyUp = Object.freeze({ kind: 'metadata' });
export const LAZY: CopyUp = Object.freeze({ kind: 'lazy' });
export const WHOLE: CopyUp = Object.freeze({ kind: 'whole' });
const EMPTY: CopyUp = Object.freeze({ kind: 'truncated', size: 0 });

export function truncatedTo(size: number): CopyUp {
  return size === 0 ? EMPTY : { kind: 'truncated', size };
}

/** Bytes of data that are wanted at most. */
export function bytesWanted(extent: CopyUp): number {
  return extent.kind === 'truncated' ? extent.size : Number.POSITIVE_INFINITY;
}
