// SPDX-License-Identifier: MIT
/** The end of a server's process, when its container has ended. */
import type { Store } from '../../image/store/store.js';
import { removeServerFiles, sweepServerFiles } from '../../supervise/server-files.js';
import { retireBridgeLater } from '../network/bridge.js';

/** A network without containers. */
const BRIDGE_STAYS_MS = 1000;

export async function leave(store: Store | undefined): Promise<never> {
  removeServerFiles(process.pid);
  sweepServerFiles();
  if (store !== undefined) await retireBridgeLater(store, BRIDGE_STAYS_MS);
  // Threads and sockets of clients that hang on are nobody's business any more.
  process.exit();
}
