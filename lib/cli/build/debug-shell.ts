// SPDX-License-Identifier: MIT
/** `--debug-shell`: a shell where a RUN that failed began. */

import { buildContainerOptions } from '../../build/run/run-step.js';
import type { StepFailure } from '../../build/stage/failure.js';
import { createContainer } from '../../container/upkeep/create.js';
import { discardContainer } from '../../container/upkeep/removal.js';
import { digestOf } from '../../image/model/digest.js';
import type { Store } from '../../image/store/store.js';
import { joiningFor, startJoined } from '../container/run.js';

const DETACH_KEYS = 'ctrl-p,ctrl-q';

/** Settles when the shell has ended; what it changed is thrown away. */
export async function openDebugShell(store: Store, { instruction, before }: StepFailure): Promise<void> {
  const { layers, config } = before.state;
  const [shell = '/bin/sh'] = (config as { Shell?: string[] }).Shell ?? [];
  process.stderr.write(`This is the state before \`${instruction}\`; leave it with exit.\n`);
  const terminal = process.stdin.isTTY === true;
  const options = {
    ...buildContainerOptions({
      config,
      args: [shell],
      env: before.env,
      network: 'default',
      extraHosts: [],
      mounts: [],
    }),
    terminal,
    interactive: true,
  };
  const image = {
    name: 'build',
    id: digestOf(instruction),
    layers: layers.map(({ diffId }) => diffId),
    config,
  };
  const container = await createContainer(store, { image, options, isBuild: true });
  try {
    await startJoined(
      container,
      'debug shell',
      joiningFor({ terminal, interactive: true }, DETACH_KEYS, true),
    );
  } finally {
    await discardContainer(container);
  }
}
