// SPDX-License-Identifier: MIT
/** What a server does that the keeper has started: it goes on with the mount of an earlier one. */
import { check } from '../base/errors.js';
import { closeOthersOnExec } from '../sys/programs.js';
import { logFault } from './fault-log.js';
import { DEVICE_FD, FIRST_HELD_FD, Keeper, STATE_FD } from './keeper.js';
import { inheritServerFiles } from './registry.js';
import { resumeMount } from './resume-mount.js';
import { serve } from './server.js';
import { ServerState } from './server-state.js';

async function resume(keeperPid: number): Promise<void> {
  check(closeOthersOnExec(), { operation: 'close descriptors' });
  const state = ServerState.open(STATE_FD);
  const { manifest } = state;
  const { config, since } = manifest;
  inheritServerFiles(state.takeOver(process.pid));
  const held = {
    state: STATE_FD,
    device: DEVICE_FD,
    descriptors: Array.from({ length: manifest.descriptors }, (_, position) => FIRST_HELD_FD + position),
  };
  const keeper = Keeper.parent(held, config.target, keeperPid, logFault);
  const starting = resumeMount(state, manifest, held, keeper, logFault);
  const reason = await serve(starting, { ...config, since }, () => undefined);
  if (reason !== undefined) throw new Error(reason);
}

resume(Number(process.argv[3])).then(
  () => process.exit(0),
  (failure: Error) => {
    logFault(failure.stack ?? failure.message);
    process.exit(1);
  },
);
