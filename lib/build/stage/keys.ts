// SPDX-License-Identifier: MIT
/**
 * What a step depends on, as one digest: the same key, the same layer. Content counts by
 * its digest and times do not; what only says how a step is shown does not either.
 */

import { type Digest, digestOf } from '../../image/model/digest.js';
import { sourceDateEpoch } from '../../image/store/create-image.js';
import type { KeyPart } from '../plan/plan.js';

/** Of the meaning of keys: a change of how layers are made changes it. */
const VERSION = 1;

/** The key of a planned step; `values` has what its parts await. */
export function stepKey(kind: string, parts: readonly KeyPart[], values: Record<string, unknown>): Digest {
  const whole = [VERSION, kind, sourceDateEpoch() ?? null, ...parts];
  return digestOf(JSON.stringify(whole, (_name, part) => (isAwaited(part) ? values[part.awaits] : part)));
}

function isAwaited(part: unknown): part is { awaits: string } {
  return typeof (part as { awaits?: unknown } | null)?.awaits === 'string';
}
