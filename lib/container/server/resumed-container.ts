// SPDX-License-Identifier: MIT
/** What a server does that a container's shim has started: it goes on with what an earlier one has left. */
import { check } from '../../base/errors.js';
import { Store } from '../../image/store/store.js';
import type { Mount } from '../../mount/mount.js';
import { resumeMount } from '../../mount/resume-mount.js';
import { ServerState } from '../../mount/server-state.js';
import { handedOver, STATE_FD } from '../../supervise/held.js';
import { logFault } from '../../supervise/log.js';
import { inheritServerFiles } from '../../supervise/server-files.js';
import { Shim } from '../../supervise/shim.js';
import { closeOthersOnExec } from '../../sys/programs.js';
import { Container } from '../state/containers.js';
import { type ContainerManifest, ContainerMemory } from './container-memory.js';
import { Keeping } from './keeping.js';
import { leave } from './leave.js';
import { liveOn } from './lifecycle.js';

async function resume(shimPid: number, number: number): Promise<void> {
  check(closeOthersOnExec(), { operation: 'close descriptors' });
  const memory = ContainerMemory.open(STATE_FD);
  if (memory.shim !== number) {
    // Another one has taken its place, and has started a server, too.
    Shim.refuseParent();
    return;
  }
  const manifest = memory.readManifest();
  inheritServerFiles(memory.takeOver());
  const store = Store.open(manifest.root);
  const container = new Container(store, manifest.id);
  // It may have been removed, as its last server's last step.
  if (container.exists) await goOn(container, manifest, memory, shimPid);
  else Shim.refuseParent();
  await leave(store);
}

async function goOn(
  container: Container,
  manifest: ContainerManifest,
  memory: ContainerMemory,
  shimPid: number,
): Promise<void> {
  const { id, root, lock, held } = manifest;
  const { name } = container.readConfig();
  const { keeping, shim } = Keeping.takeOver({ root, id, name, lock }, memory, shimPid, handedOver(held));
  const mounted = await resumeServing(manifest, shim);
  await liveOn({ container, manifest, memory, keeping, mounted });
}

/** The mount, where it is ours; before anything else, as the container's programs wait for it. */
async function resumeServing(
  { resources: { mount } }: ContainerManifest,
  shim: Shim,
): Promise<Mount | undefined> {
  if (mount === undefined) return undefined;
  const state = ServerState.open(mount.state);
  state.takeOver();
  return resumeMount(state, state.manifest, mount, shim, logFault);
}

resume(Number(process.argv[3]), Number(process.argv[4])).then(
  () => process.exit(0),
  (failure: Error) => {
    logFault(failure.stack ?? failure.message);
    process.exit(1);
  },
);
