// SPDX-License-Identifier: MIT
/** Sizes as options take them. */
import { UsageError } from '../../base/errors.js';
import { sizeOf } from '../../base/sizes.js';

/** Throws UsageError that names the option. */
export function parseSize(option: string, text: string, thousand: 1000 | 1024 = 1024): number {
  const size = sizeOf(text, thousand);
  if (size !== undefined) return size;
  throw new UsageError(`${option} ${text} is no size`, 'write it as in 64m or 1.5g');
}
