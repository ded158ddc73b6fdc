// SPDX-License-Identifier: MIT
/** What this machine's processor can beyond its architecture's beginnings: the variant whose images run on it. */
import { closeSync, openSync, readSync } from 'node:fs';

/** The levels of x86-64, each with all below it (System V psABI AMD64, 3.1.1), as the kernel names the features. */
const AMD64_LEVELS: readonly string[] = [
  '',
  'cx16 lahf_lm popcnt pni sse4_1 sse4_2 ssse3',
  'avx avx2 bmi1 bmi2 f16c fma abm movbe xsave',
  'avx512f avx512bw avx512cd avx512dq avx512vl',
];

/** The first processor's lines are enough, and reading the file to its end asks each processor. */
const FIRST_PROCESSOR = 8192;

function readFirstProcessor(): string {
  let fd: number | undefined;
  try {
    fd = openSync('/proc/cpuinfo', 'r');
    const buffer = Buffer.alloc(FIRST_PROCESSOR);
    return buffer.latin1Slice(0, readSync(fd, buffer, 0, buffer.length, 0));
  } catch {
    // Without /proc the processor is taken for the simplest.
    return '';
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

function fieldOf(key: string, text: string): string {
  return new RegExp(`^${key}\\s*:(.*)$`, 'm').exec(text)?.[1].trim() ?? '';
}

/** 1 to 4. */
function amd64Level(text: string): number {
  const flags = new Set(fieldOf('flags', text).split(' '));
  const missing = AMD64_LEVELS.findIndex((level) =>
    level.split(' ').some((flag) => flag !== '' && !flags.has(flag)),
  );
  return missing < 0 ? AMD64_LEVELS.length : missing;
}

/** The variant of this machine's processor; undefined where it is its architecture's plain one, or not known. `text` is what /proc/cpuinfo says. */
export function processorVariant(architecture: string, text = readFirstProcessor()): string | undefined {
  if (architecture === 'amd64') {
    const level = amd64Level(text);
    return level > 1 ? `v${level}` : undefined;
  }
  if (architecture !== 'arm') return undefined;
  const version = /^\d+/.exec(fieldOf('CPU architecture', text))?.[0];
  return version === undefined ? undefined : `v${version}`;
}
