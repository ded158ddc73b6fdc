// SPDX-License-Identifier: MIT
/** What a server does that the shim has started: it goes on with the mount of an earlier one. */
import { check } from '../base/errors.js';
import { DEVICE_FD, handedOver, STATE_FD } from '../supervise/held.js';
import { logFault } from '../supervise/log.js';
import { inheritServerFiles } from '../supervise/server-files.js';
import { Shim } from '../supervise/shim.js';
import { closeOthersOnExec } from '../sys/programs.js';
import { holdingOf, shimOwner } from './mount-shim.js';
import { resumeMount } from './resume-mount.js';
import { serve } from './server.js';
import { ServerState } from './server-state.js';

async function resume(shimPid: number): Promise<void> {
  check(closeOthersOnExec(), { operation: 'close descriptors' });
  const state = ServerState.open(STATE_FD);
  const { manifest } = state;
  const { config, since } = manifest;
  inheritServerFiles(state.takeOver());
  const held = { state: STATE_FD, device: DEVICE_FD, descriptors: handedOver(manifest.descriptors) };
  const shim = Shim.parent(shimOwner(held, config.target, logFault), shimPid, holdingOf(held).number);
  const starting = resumeMount(state, manifest, held, shim, logFault);
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
