// SPDX-License-Identifier: MIT
/** Sizes as Docker's options take them: by powers of 1,024. */
import { UsageError } from '../../base/errors.js';

const SIZE_UNITS: Record<string, number> = { b: 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30, t: 2 ** 40 };

/** `64m`, `1.5g`, `1024`: bytes. */
export function parseSize(option: string, text: string): number {
  const match = /^(\d+(?:\.\d+)?)([bkmgt]?)(?:i?b)?$/i.exec(text);
  if (match === null) throw new UsageError(`${option} ${text} is no size`, 'write it as in 64m or 1.5g');
  return Math.round(Number(match[1]) * SIZE_UNITS[match[2].toLowerCase() || 'b']);
}
