// SPDX-License-Identifier: MIT
/** What a server does that the keeper has started: it goes on with the mount of an earlier one. */
import { check } from '../base/errors.js';
import { closeOthersOnExec } from '../sys/programs.js';
import { logFault } from './fault-log.js';
import { DEVICE_FD, FIRST_UNION_FD, type Held, Keeper, STATE_FD } from './keeper.js';
import { resumeKernelDriver } from './kernel-driver.js';
import { Mount } from './mount.js';
import { inheritServerFiles } from './registry.js';
import { serve } from './server.js';
import { ServerState } from './server-state.js';
import { awaitSuspended } from './suspended.js';

async function resume(keeperPid: number): Promise<void> {
  check(closeOthersOnExec(), { operation: 'close descriptors' });
  const state = ServerState.open(STATE_FD);
  const { manifest } = state;
  const { config, since } = manifest;
  inheritServerFiles(state.takeOver(process.pid));
  const held: Held = {
    state: STATE_FD,
    device: DEVICE_FD,
    descriptors: Array.from({ length: manifest.descriptors }, (_, position) => FIRST_UNION_FD + position),
  };
  const { target } = config;
  const keeper = Keeper.parent(held, target, keeperPid, logFault);
  await awaitSuspended(state, manifest, held.descriptors, logFault);
  const starting = resumeKernelDriver(held, keeper, logFault).then(
    (running) => new Mount(target, 'kernel', running),
  );
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
