// SPDX-License-Identifier: MIT
/**
 * Flags that no command knows are named before anything else is said: yargs would
 * take the word after one for its value and complain of a missing argument.
 */
import { nearestName, UsageError } from '../base/errors.js';

const COMMON = ['help', 'version', 'debug', 'json'];

const KNOWN: Record<string, readonly string[]> = {
  mount: ['options', 'lower', 'image', 'root', 'upper', 'work', 'read-only', 'foreground', 'driver'],
  diff: ['root'],
  fsck: ['work', 'repair', 'userxattr'],
  unmount: ['detach'],
  umount: ['detach'],
  upgrade: ['all'],
};

/** Throws UsageError for the first unknown `--flag`, with the nearest known one. `more` are flags by command. */
export function refuseUnknownFlags(
  argv: readonly string[],
  more: Readonly<Record<string, readonly string[]>>,
): void {
  const help = argv[0]?.startsWith('-') !== false ? 'tsoverlay --help' : `tsoverlay ${argv[0]} --help`;
  const known = [...COMMON, ...(KNOWN[argv[0]] ?? more[argv[0]] ?? [])];
  for (const word of argv) {
    if (word === '--' || argv[0] === 'completion' || word === '--get-yargs-completions') return;
    const name = /^--([^=]+)/.exec(word)?.[1];
    if (name === undefined || known.includes(name)) continue;
    const nearest = nearestName(name, known);
    throw new UsageError(
      `unknown option --${name}`,
      nearest === undefined ? `see \`${help}\`` : `did you mean --${nearest}?`,
    );
  }
}
