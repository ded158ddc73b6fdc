// SPDX-License-Identifier: MIT
/** What builds leave that are killed: containers, and secrets of theirs. */
import { existsSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { readWholeContainers } from '../../container/state/containers.js';
import { sweepStagings } from '../../image/store/staging.js';
import type { Store } from '../../image/store/store.js';
import { runtimeDirectory } from '../../supervise/runtime-directory.js';

/** In the runtime directory, which lies in memory where the system has one there. */
export function secretsDirectory(root = runtimeDirectory()): string {
  return join(root, 'staging');
}

/** Takes it all away. The caller is the only build. */
export async function sweepLeftovers(store: Store): Promise<void> {
  if (existsSync(secretsDirectory())) {
    sweepStagings({ root: runtimeDirectory() });
    removeIfEmpty(secretsDirectory());
  }
  for (const { container, config } of readWholeContainers(store)) {
    if (config.isBuild !== true) continue;
    const { discardContainer } = await import('../../container/upkeep/removal.js');
    try {
      await discardContainer(container);
    } catch (failure) {
      // The server of a build that was killed a moment ago removes its container itself.
      if (container.exists) throw failure;
    }
  }
}

export function removeIfEmpty(path: string): void {
  try {
    rmdirSync(path);
  } catch (failure) {
    const { code } = failure as NodeJS.ErrnoException;
    // Another build has something there, or took it away.
    if (code !== 'ENOTEMPTY' && code !== 'EEXIST' && code !== 'ENOENT') throw failure;
  }
}
