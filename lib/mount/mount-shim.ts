// SPDX-License-Identifier: MIT
/** The shim of a mount that its server serves alone: it holds the same as long as the mount is there. */
import { fileURLToPath } from 'node:url';
import type { Held } from '../supervise/held.js';
import type { Holding, Owner } from '../supervise/shim.js';

/** What a server of a mount runs, of this version. */
export const MOUNT_MAIN = fileURLToPath(new URL('./background-main.js', import.meta.url));

export function holdingOf(held: Held): Holding {
  return { held, number: 0, begin: () => undefined };
}

export function shimOwner(held: Held, target: string, report: (text: string) => void): Owner {
  return {
    name: target,
    successor: { kind: 'mount', main: MOUNT_MAIN },
    report,
    holding: () => holdingOf(held),
  };
}
