// SPDX-License-Identifier: MIT
/** Names as users give them: of containers, volumes, runtimes and storage drivers. */
import { nearestName, UsageError } from '../../base/errors.js';

/** What a container or a volume may be called (RestrictedNamePattern in moby's daemon/names). */
export const RESTRICTED_NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/;

/** The same in words, for who gave another name. */
export const NAME_RULE =
  'a name has two characters or more: letters, digits, _, . and -, the first a letter or a digit';

export const RUNTIME_NAMES = ['builtin', 'runc', 'crun'] as const;
export type RuntimeName = (typeof RUNTIME_NAMES)[number];

export const STORAGE_NAMES = ['tsoverlay', 'overlay', 'btrfs', 'vfs'] as const;
export type StorageName = (typeof STORAGE_NAMES)[number];

/** Throws UsageError for a name that no runtime has. */
export function parseRuntimeName(text: string): RuntimeName {
  const known = RUNTIME_NAMES.find((name) => name === text);
  if (known !== undefined) return known;
  const near = nearestName(text, RUNTIME_NAMES);
  throw new UsageError(
    `there is no runtime ${text}`,
    near === undefined ? `it is ${RUNTIME_NAMES.join(', ')}` : `did you mean ${near}?`,
  );
}

/** Throws UsageError for a name that no driver has. */
export function parseStorageName(text: string): StorageName {
  const known = STORAGE_NAMES.find((name) => name === text);
  if (known !== undefined) return known;
  const near = nearestName(text, STORAGE_NAMES);
  throw new UsageError(
    `there is no storage driver ${text}`,
    near === undefined ? `it is ${STORAGE_NAMES.join(', ')}` : `did you mean ${near}?`,
  );
}
