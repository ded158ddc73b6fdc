// SPDX-License-Identifier: MIT
/**
 * What a step depends on, as one digest: the same key, the same layer. Content counts by
 * its digest and times do not; what only says how a step is shown does not either.
 */

import { type Digest, digestOf } from '../../image/model/digest.js';
import { sourceDateEpoch } from '../../image/store/create-image.js';

/** Of the meaning of keys: a change of how layers are made changes it. */
const VERSION = 1;

/** `parts` are JSON values, in an order that is always the same. */
export function stepKey(kind: string, parts: readonly unknown[]): Digest {
  return digestOf(JSON.stringify([VERSION, kind, sourceDateEpoch() ?? null, ...parts]));
}
