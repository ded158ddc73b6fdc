// SPDX-License-Identifier: MIT
/**
 * Debug channels, switched on by NODE_DEBUG (`NODE_DEBUG=tsoverlay-fuse`, or
 * `tsoverlay-*` for all). A channel that is off costs one property read, so hot
 * code asks `enabled` before it composes a line.
 *
 * Lines go to descriptor 2 at once: the serving thread never returns to its event
 * loop, and what util.debuglog writes in a worker would wait there for ever.
 */
import { writeSync } from 'node:fs';
import { debuglog, format } from 'node:util';

export interface DebugChannel {
  (text: string, ...values: unknown[]): void;
  readonly enabled: boolean;
}

function channel(name: string): DebugChannel {
  const { enabled } = debuglog(name);
  const log = (text: string, ...values: unknown[]): void => {
    if (enabled) writeSync(2, `${name}: ${format(text, ...values)}\n`);
  };
  return Object.assign(log, { enabled });
}

export const fuseDebug = channel('tsoverlay-fuse');
export const overlayDebug = channel('tsoverlay-overlay');
export const mountDebug = channel('tsoverlay-mount');
export const imageDebug = channel('tsoverlay-image');
