// SPDX-License-Identifier: MIT
/** Going on with the mount of an earlier server. */
import type { Shim } from '../supervise/shim.js';
import type { HeldMount } from './config.js';
import { resumeKernelDriver } from './kernel-driver.js';
import { Mount } from './mount.js';
import type { Manifest, ServerState } from './server-state.js';
import { awaitSuspended } from './suspended.js';

/** `shim` has started this process and holds the mount, perhaps among other things. */
export async function resumeMount(
  state: ServerState,
  manifest: Manifest,
  held: HeldMount,
  shim: Shim,
  report: (text: string) => void,
): Promise<Mount> {
  await awaitSuspended(state, manifest, held.descriptors, report);
  const running = await resumeKernelDriver(held, shim, report);
  return new Mount(manifest.config.target, 'kernel', running);
}
