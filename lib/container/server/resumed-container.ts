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
import { Fd } from '../../sys/files.js';
import { closeOthersOnExec } from '../../sys/programs.js';
import type { ExitCode } from '../runtime/runtime.js';
import { Container } from '../state/containers.js';
import { type ContainerManifest, ContainerMemory } from './container-memory.js';
import { Keeping } from './keeping.js';
import { ContainerServer } from './server.js';
import { leave, Sessions, serveUntilEnd } from './sessions.js';

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
  const sessions = new Sessions();
  // It may have been removed, as its last server's last step.
  if (container.exists) await sessions.tell(await goOn(container, manifest, memory, shimPid, sessions));
  else Shim.refuseParent();
  await leave(store);
}

/** Settles with the exit code when the container's lock is free. */
async function goOn(
  container: Container,
  manifest: ContainerManifest,
  memory: ContainerMemory,
  shimPid: number,
  sessions: Sessions,
): Promise<ExitCode> {
  using lock = new Fd(manifest.lock);
  const { id, root } = manifest;
  const { name } = container.readConfig();
  const descriptors = handedOver(manifest.held);
  const fixed = { root, id, name, lock: lock.number };
  const keeping = Keeping.resume(fixed, memory, shimPid, descriptors, logFault);
  const mounted = await resumeServing(manifest, keeping.shim!);
  const server = await ContainerServer.resume(container, manifest, keeping, mounted);
  return await serveUntilEnd(server, sessions, async () => () => keeping.ready());
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
