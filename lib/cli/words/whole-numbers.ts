// SPDX-License-Identifier: MIT
/** Whole numbers of options, as Docker's flags read them: Go's strconv.ParseInt with the base of the prefix. */
import { UsageError } from '../../base/errors.js';

const DIGITS = /^([+-]?)(0x(?:_?[0-9a-f])+|0b(?:_?[01])+|0o?(?:_?[0-7])+|0|[1-9](?:_?\d)*)$/i;

/** `10`, `0xa`, `012`, `1_000`. Throws UsageError that names the option. */
export function parseWhole(option: string, text: string, remedy: string): number {
  const [, sign, digits] = DIGITS.exec(text) ?? [];
  const plain = digits
    ?.replaceAll('_', '')
    .toLowerCase()
    .replace(/^0(?=\d)/, '0o');
  const number = plain === undefined ? Number.NaN : (sign === '-' ? -1 : 1) * Number(plain);
  // -0 is 0.
  if (Number.isSafeInteger(number)) return number + 0;
  throw new UsageError(`${option} ${text || 'without a value'} is not a whole number`, remedy);
}
