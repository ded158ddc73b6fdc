// SPDX-License-Identifier: MIT
/**
 * How a container fares, told truly after any crash: a container whose server and shim
 * are both gone is lost, as nobody serves its files any more. Whoever finds that out first
 * ends its programs and takes away what the server could not.
 */
import { rmSync } from 'node:fs';
import { constants } from 'node:os';
import { fromText } from '../../base/bytes.js';
import { EINVAL, ENOENT } from '../../base/errno.js';
import { check } from '../../base/errors.js';
import { sweepServerFiles } from '../../supervise/server-files.js';
import { listMounts, MNT_DETACH, unmountFileSystem } from '../../sys/mounts.js';
import { isAlive } from '../../sys/proc.js';
import { sendSignal } from '../../sys/signals.js';
import { Cgroup } from '../cgroup/cgroup.js';
import { release, retireBridge } from '../network/bridge.js';
import { runtimeFor } from '../runtimes/choose.js';
import { type ContainerState, NEW_STATE } from '../state/config.js';
import type { Container } from '../state/containers.js';
import { socketPath } from '../wire/protocol.js';

/** What a program that the kernel killed ends with. */
const CODE_KILLED = 137;
/** What a container says of its end that was lost. */
const LOST = 'its server was killed, or the machine went down';

/** Takes away what a container has outside its directory. The caller has its lock, and its server is gone. */
export async function cleanUp(container: Container): Promise<void> {
  const cgroup = new Cgroup(container.id);
  cgroup.kill();
  killFirst(container);
  // What an OCI runtime started is not tied to the server, and it keeps something of it.
  const runtime = container.tryReadConfig()?.options.runtime;
  if (runtime !== undefined) await (await runtimeFor(runtime, container)).forget();
  await cgroup.remove();
  const rootfs = fromText(container.path('rootfs'));
  for (const { target } of listMounts()) {
    if (target !== rootfs) continue;
    const status = unmountFileSystem(target, MNT_DETACH);
    // Its dead server's end may have come between.
    if (status !== -EINVAL && status !== -ENOENT)
      check(status, { operation: 'unmount', path: container.path('rootfs') });
  }
  await release(container.store, container.id);
  await retireBridge(container.store);
  rmSync(socketPath(container.id), { force: true });
  sweepServerFiles();
}

/** With the first process the kernel ends all others; not every user has a cgroup. */
function killFirst(container: Container): void {
  const { pid, pidStart } = container.tryReadState() ?? NEW_STATE;
  if (isAlive({ pid, start: pidStart })) sendSignal(pid, constants.signals.SIGKILL);
}

/** Whether a server has, or had, something to do with it. */
function isServed({ status, serverPid }: ContainerState): boolean {
  return status === 'running' || status === 'paused' || serverPid !== 0;
}

/** The state as it is now. */
export async function readState(container: Container): Promise<ContainerState> {
  const written = container.readWrittenState();
  if (!isServed(written)) return written;
  using lock = container.tryLock();
  if (lock === undefined) return container.readWrittenState();
  return settleState(container);
}

/** The state as it is now, for who has the lock. */
export async function settleState(container: Container): Promise<ContainerState> {
  const state = container.readWrittenState();
  if (!isServed(state)) return state;
  await cleanUp(container);
  const started = state.status === 'running' || state.status === 'paused';
  // Its program had ended, and the server did not come to the end of taking everything away.
  const hadEnded = started && state.pid === 0;
  const settled: ContainerState = {
    ...state,
    status: started || state.startedAt !== '' ? 'exited' : 'created',
    serverPid: 0,
    pid: 0,
    exitCode: hadEnded ? state.exitCode : CODE_KILLED,
    error: hadEnded ? state.error : LOST,
    lost: !hadEnded,
    finishedAt: new Date().toISOString(),
    address: '',
    ports: [],
  };
  container.writeState(settled);
  return settled;
}
