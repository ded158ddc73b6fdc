// SPDX-License-Identifier: MIT
/**
 * Entry of a container's server (server.ts): started for a container that begins, or by its shim (`resume`)
 * for one whose server has ended. The serving thread and the stage take as long to start as everything else
 * here, so they go first.
 */
import { prepareServingThread } from '../../mount/serving-worker.js';
import { openServerChannel } from '../../supervise/channel.js';
import { Stage } from '../stage/stage-process.js';

function begin(): void {
  const channel = openServerChannel();
  // An OCI runtime wants none; bin/tsoverlay sees when one is asked for.
  const stage = process.env.TSOVERLAY_STAGE === 'none' ? undefined : new Stage();
  prepareServingThread();
  void import('./serve-container.js').then(async ({ serveContainer }) =>
    serveContainer(stage, await channel),
  );
}

if (process.argv[2] === 'resume') {
  prepareServingThread();
  void import('./resumed-container.js');
} else begin();
