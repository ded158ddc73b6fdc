// SPDX-License-Identifier: MIT
/** `--log-driver` and `--log-opt` of `run` and `create`, as Docker's json-file driver reads them. Throws UsageError. */

import { UsageError } from '../../base/errors.js';
import { USUAL_LIMITS } from '../../container/program/log-rotation.js';
import type { ContainerOptions, LogLimits } from '../../container/state/config.js';
import { parseSize } from '../words/sizes.js';

/** By powers of 1,000, however it is written: go-units' FromHumanSize. */
function sizeFrom(option: string, text: string): number {
  return parseSize(`--log-opt ${option}`, text, 1000);
}

function maxSizeFrom(text: string): number {
  if (text === '-1') return 0;
  const size = sizeFrom('max-size', text);
  if (size > 0) return size;
  throw new UsageError(
    `--log-opt max-size=${text} is too little`,
    'give a size as in 10m, or -1 for no limit',
  );
}

function maxFilesFrom(text: string): number {
  if (/^\+?\d{1,9}$/.test(text) && Number(text) >= 1) return Number(text);
  throw new UsageError(`--log-opt max-file=${text} is no number of files`, 'give at least 1');
}

/** What would change nothing is taken. */
const SETTLED: Record<string, readonly string[]> = {
  compress: ['false', 'f', '0', 'False', 'FALSE', 'F'],
  mode: ['blocking'],
};

function limitsFrom(texts: readonly string[]): LogLimits {
  const given: Partial<LogLimits> = {};
  for (const text of texts) {
    const [name, ...rest] = text.split('=');
    const value = rest.join('=');
    if (name === 'max-size') given.maxSize = maxSizeFrom(value);
    else if (name === 'max-file') given.maxFiles = maxFilesFrom(value);
    else if (name === 'reserve') given.reserve = sizeFrom(name, value);
    else if (!SETTLED[name]?.includes(value)) {
      throw new UsageError(
        `--log-opt ${text} is not supported`,
        'there are max-size=SIZE, max-file=COUNT and reserve=SIZE',
      );
    }
  }
  // Who says how large one file is has one, as in Docker.
  const maxFiles = given.maxSize === undefined ? USUAL_LIMITS.maxFiles : 1;
  return { ...USUAL_LIMITS, maxFiles, ...given };
}

export function logOptions(driver: string, texts: readonly string[]): ContainerOptions['log'] {
  if (driver === 'none') {
    if (texts.length === 0) return 'none';
    throw new UsageError('--log-opt does not go with --log-driver none', 'leave one of them out');
  }
  if (driver !== 'json-file')
    throw new UsageError(`there is no log driver ${driver}`, 'it is json-file or none');
  return texts.length === 0 ? undefined : limitsFrom(texts);
}
