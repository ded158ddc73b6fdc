// SPDX-License-Identifier: MIT
/** Limits on layers, as options give them. */
import { DEFAULT_LIMITS, type UnpackLimits } from '../../image/unpack/unpack.js';
import { parseSize } from '../words/sizes.js';

export interface LimitArguments {
  'max-layer-size': string | undefined;
  'max-layer-entries': number | undefined;
}

export function limitsFrom(args: LimitArguments): UnpackLimits {
  const size = args['max-layer-size'];
  return {
    size: size === undefined ? DEFAULT_LIMITS.size : parseSize('--max-layer-size', size),
    entries: args['max-layer-entries'] ?? DEFAULT_LIMITS.entries,
  };
}
