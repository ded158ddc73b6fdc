// SPDX-License-Identifier: MIT
/**
 * How a container fares, told truly after any crash: a container whose server is gone
 * has ended, as the kernel kills its first process with the server. Whoever finds
 * that out first takes away what the server could not.
 */
import { fromText } from '../base/bytes.js';
import { EINVAL, ENOENT } from '../base/errno.js';
import { check } from '../base/errors.js';
import { listMounts, MNT_DETACH, unmountFileSystem } from '../sys/mounts.js';
import { release } from './bridge.js';
import { Cgroup } from './cgroup.js';
import type { ContainerState } from './config.js';
import type { Container } from './containers.js';
import { runtimeFor } from './runtime.js';

/** What a program that the kernel killed ends with. */
const CODE_KILLED = 137;

/** Takes away what a container has outside its directory. The caller has its lock, and its server is gone. */
export async function cleanUp(container: Container): Promise<void> {
  // What an OCI runtime started is not tied to the server.
  await (await runtimeFor(container.readConfig().options.runtime, container)).forget();
  const rootfs = fromText(container.path('rootfs'));
  for (const { target } of listMounts()) {
    if (target !== rootfs) continue;
    const status = unmountFileSystem(target, MNT_DETACH);
    // Its dead server's end may have come between.
    if (status !== -EINVAL && status !== -ENOENT)
      check(status, { operation: 'unmount', path: container.path('rootfs') });
  }
  const cgroup = new Cgroup(container.id);
  if (cgroup.exists) {
    cgroup.kill();
    await cgroup.remove();
  }
  await release(container.store, container.id);
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
  const settled: ContainerState = {
    ...state,
    status: started || state.startedAt !== '' ? 'exited' : 'created',
    serverPid: 0,
    pid: 0,
    exitCode: CODE_KILLED,
    error: 'its server was killed, or the machine went down',
    finishedAt: new Date().toISOString(),
    address: '',
    ports: [],
  };
  container.writeState(settled);
  return settled;
}
