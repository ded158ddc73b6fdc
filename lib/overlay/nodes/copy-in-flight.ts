// SPDX-License-Identifier: MIT
/** The state of a copy-up that goes on in the background (lazy-copy.ts). */
import type { ByteString } from '../../base/bytes.js';
import type { LayerWatch } from '../layers/layer-watch.js';

/** The state of one copy in flight. Holds a reference to its node. */
export interface LazyCopy {
  readonly from: number;
  readonly to: number;
  /** Of the lower file; asked for leave before the file is (layer-watch.ts). */
  readonly layer: number;
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
