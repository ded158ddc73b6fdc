// SPDX-License-Identifier: MIT
/** What a container's server has from the lock to the end, be it the first one or a later one. */
import { AsyncRollback } from '../../base/rollback.js';
import { logFault } from '../../supervise/log.js';
import type { ContainerConfig } from '../state/config.js';
import type { Container } from '../state/containers.js';
import type { ContainerMemory } from './container-memory.js';
import type { Keeping } from './keeping.js';
import { LiveState } from './live-state.js';
import type { OwnProgram } from './own-program.js';

interface Parts {
  container: Container;
  config: ContainerConfig;
  memory: ContainerMemory;
  keeping: Keeping;
  own: OwnProgram;
}

export class Life {
  readonly container: Container;
  readonly config: ContainerConfig;
  /** For the next server. */
  readonly memory: ContainerMemory;
  readonly keeping: Keeping;
  /** The container's own program. */
  readonly own: OwnProgram;
  readonly state: LiveState;
  /** How what was taken is given back: in the opposite order, however far the taking came. */
  readonly taken = new AsyncRollback();

  /** This process has the container's lock. */
  constructor({ container, config, memory, keeping, own }: Parts) {
    this.container = container;
    this.config = config;
    this.memory = memory;
    this.keeping = keeping;
    this.own = own;
    this.state = new LiveState(container);
  }

  /** There is no space for the log: who runs it and who looks at it learn why it waits, and when it goes on. */
  logLacks(reason: string | undefined): void {
    const notice = reason && `${this.config.name} has to wait before it prints more: ${reason}; make room`;
    this.own.outlet.notice = notice;
    this.state.change({ error: notice ?? '' });
  }

  /** What cannot be given back is in the server's log: there is nobody else to be told. */
  async giveBack(): Promise<void> {
    try {
      await this.taken[Symbol.asyncDispose]();
    } catch (failure) {
      for (const one of (failure as AggregateError).errors ?? [failure]) logFault((one as Error).message);
    }
  }
}
