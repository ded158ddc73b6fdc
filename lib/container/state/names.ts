// SPDX-License-Identifier: MIT
/** Names of runtimes and of storage drivers, as users and a container's configuration have them. */
import { nearestName, UsageError } from '../../base/errors.js';

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
