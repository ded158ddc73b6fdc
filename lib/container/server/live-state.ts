// SPDX-License-Identifier: MIT
/** How a container fares, as its server has it and writes it down. */
import { processId } from '../../sys/proc.js';
import type { ContainerState } from '../state/config.js';
import type { Container } from '../state/containers.js';

export class LiveState {
  #now: ContainerState;

  /** This process has the container's lock. */
  constructor(private readonly container: Container) {
    this.#now = container.readWrittenState();
  }

  get now(): Readonly<ContainerState> {
    return this.#now;
  }

  change(changes: Partial<ContainerState>): void {
    this.#now = { ...this.#now, ...changes };
    this.container.writeState(this.#now);
  }

  /** This process is its server from now on. */
  served(changes: Partial<ContainerState> = {}): void {
    const { pid: serverPid, start: serverStart } = processId(process.pid);
    this.change({ ...changes, serverPid, serverStart });
  }

  /** The container's own program runs, with that process id. */
  started(pid: number): void {
    const startedAt = new Date().toISOString();
    this.change({ status: 'running', pid, pidStart: processId(pid).start, startedAt, finishedAt: '' });
  }
}
