// SPDX-License-Identifier: MIT
/** --ulimit, --memory, --cpus and --pids-limit, as Docker's command and daemon check them. Throws UsageError. */
import { cpus } from 'node:os';
import { UsageError } from '../../base/errors.js';
import type { SpecLimit } from '../../container/spec/runtime-spec.js';
import { LIMITS } from '../../sys/programs.js';
import { parseSize } from '../words/sizes.js';
import { parseWhole } from '../words/whole-numbers.js';

/** go-units, ulimit.go: lower case, and without `as`, which a container's own start needs. */
const ULIMITS = LIMITS.filter((name) => name !== 'AS').map((name) => name.toLowerCase());

/** `nofile=1024[:2048]`; -1 is without limit. */
export function parseUlimit(text: string): SpecLimit {
  const match = /^([^=]*)=([+-]?\d+)(?::([+-]?\d+))?$/.exec(text);
  if (match === null) {
    throw new UsageError(`--ulimit ${text} is not a limit`, 'write NAME=SOFT[:HARD], as in nofile=1024:2048');
  }
  const [, name] = match;
  if (!ULIMITS.includes(name))
    throw new UsageError(`--ulimit ${text}: there is no ${name}`, `there are ${ULIMITS.join(', ')}`);
  const soft = Number(match[2]);
  const hard = Number(match[3] ?? match[2]);
  if (soft < -1 || hard < -1)
    throw new UsageError(`--ulimit ${text} is below 0`, 'give a number, or -1 for no limit');
  if (hard !== -1 && (soft === -1 || soft > hard)) {
    throw new UsageError(
      `--ulimit ${text}: the soft limit is above the hard one`,
      'write the lower one first, as in nofile=1024:2048',
    );
  }
  return { type: `RLIMIT_${name.toUpperCase()}`, soft, hard };
}

const SMALLEST_MEMORY = 6 << 20;

/** Undefined for 0, which is without limit. */
export function parseMemory(text: string): number | undefined {
  const memory = parseSize('--memory', text);
  if (memory === 0) return undefined;
  if (memory >= SMALLEST_MEMORY) return memory;
  throw new UsageError(`--memory ${text} is too little`, 'give at least 6m');
}

/** A decimal number or a fraction, to a billionth of a CPU (opts.go, ParseCPUs). Undefined for 0, without limit. */
export function parseCpus(text: string): number | undefined {
  const match = /^([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)(?:\/(\d+))?$/i.exec(text);
  const count = Number(match?.[1]) / Number(match?.[2] ?? 1);
  if (match === null || !Number.isFinite(count))
    throw new UsageError(`--cpus ${text} is not a number`, 'write it as in 1.5');
  const billionths = count * 1e9;
  if (Math.abs(billionths - Math.round(billionths)) > 1e-3)
    throw new UsageError(`--cpus ${text} is too precise`, 'give at most nine decimals');
  if (count === 0) return undefined;
  const most = cpus().length;
  if (count >= 0.01 && count <= most) return count;
  throw new UsageError(`--cpus ${text}: this machine has ${most} CPUs`, `give 0.01 to ${most}`);
}

/** Undefined for 0 and below, without limit. */
export function parseProcesses(text: string): number | undefined {
  const most = parseWhole('--pids-limit', text, 'give -1 for no limit');
  return most > 0 ? most : undefined;
}
