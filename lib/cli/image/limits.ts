// SPDX-License-Identifier: MIT
/** Limits on layers, as options give them. */
import { UsageError } from '../../base/errors.js';
import { DEFAULT_LIMITS, type UnpackLimits } from '../../image/unpack.js';

export interface LimitArguments {
  'max-layer-size': string | undefined;
  'max-layer-entries': number | undefined;
}

const UNITS: Record<string, number> = { '': 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30, t: 2 ** 40 };

/** `512m` is 512 MiB. Throws UsageError. */
export function parseSize(text: string, option: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?$/i.exec(text);
  if (match === null)
    throw new UsageError(`--${option} ${text} is no size`, 'write a number of bytes, or 512m, 20g');
  return Math.floor(Number(match[1]) * UNITS[match[2].toLowerCase()]);
}

export function limitsFrom(args: LimitArguments): UnpackLimits {
  const size = args['max-layer-size'];
  return {
    size: size === undefined ? DEFAULT_LIMITS.size : parseSize(size, 'max-layer-size'),
    entries: args['max-layer-entries'] ?? DEFAULT_LIMITS.entries,
  };
}
