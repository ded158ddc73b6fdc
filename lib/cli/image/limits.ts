// SPDX-License-Identifier: MIT
/** Limits on layers, as options give them. */

import { DEFAULT_LIMITS, type UnpackLimits } from '../../image/unpack/unpack.js';
import type { Arguments } from '../commands/table.js';
import { parseSize } from '../words/sizes.js';

export function limitsFrom(
  args: Pick<Arguments<'load'>, 'max-layer-size' | 'max-layer-entries'>,
): UnpackLimits {
  const size = args['max-layer-size'];
  return {
    size: size === undefined ? DEFAULT_LIMITS.size : parseSize('--max-layer-size', size),
    entries: args['max-layer-entries'] ?? DEFAULT_LIMITS.entries,
  };
}
