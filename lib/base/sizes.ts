// SPDX-License-Identifier: MIT
/** Sizes as docker/go-units reads them (size.go): the parser of every option that takes one. */

const NUMBER = String.raw`[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?`;
/** One blank at most, and the unit's letter alone or with `b` or `ib`. */
const SIZE = new RegExp(`^(${NUMBER}) ?(?:([kmgtp])(?:i?b)?|b)?$`, 'i');
const UNITS = 'kmgtp';

/**
 * Bytes of `64m`, `1.5 GiB`, `1024`; undefined for what is not a size. `kb` and `kib` mean the same: of `thousand`
 * 1024 as in Docker's RAMInBytes, of 1000 as in its FromHumanSize.
 */
export function sizeOf(text: string, thousand: 1000 | 1024 = 1024): number | undefined {
  const match = SIZE.exec(text);
  if (match === null) return undefined;
  const power = UNITS.indexOf(match[2]?.toLowerCase() ?? ' ') + 1;
  const size = Math.trunc(Number(match[1]) * thousand ** power);
  if (size < 0 || size >= 2 ** 63) return undefined;
  return Math.abs(size);
}
