// SPDX-License-Identifier: MIT
/** What can be done to a container's own program: signals, stopping, pausing. */
import { constants } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { OverlayError } from '../../base/errors.js';
import { sendSignal, signalNumber } from '../../sys/signals.js';
import type { Cgroup } from '../cgroup/cgroup.js';
import type { ContainerConfig } from '../state/config.js';
import type { LiveState } from './live-state.js';
import type { OwnProgram } from './own-program.js';

const DEFAULT_STOP_SIGNAL = 'SIGTERM';

/** What is controlled. */
interface Controlled {
  config: ContainerConfig;
  state: LiveState;
  own: OwnProgram;
  cgroup: Cgroup | undefined;
}

export class Controls {
  readonly #stopped = new AbortController();

  constructor(private readonly controlled: Controlled) {}

  /** Whether somebody wants it to stop: it is not started again. */
  get stopped(): AbortSignal {
    return this.#stopped.signal;
  }

  /** Sends a signal to the first process. Throws an OverlayError for none that there is, or when nothing runs. */
  signal(text: string): void {
    const number = signalNumber(text);
    sendSignal(this.controlled.own.requireRunning().pid, number);
  }

  /** Asks the program to end, waits, kills it; settles when it has ended. */
  async stop(seconds: number): Promise<void> {
    const { config, state, own } = this.controlled;
    state.change({ stopped: true });
    this.#stopped.abort();
    if (!own.isRunning) return;
    const { pid, exited } = own.requireRunning();
    await this.unpause();
    const { stopSignal } = config.options;
    sendSignal(pid, signalNumber(stopSignal ?? config.image.config.StopSignal ?? DEFAULT_STOP_SIGNAL));
    const waited = await Promise.race([exited, delay(seconds * 1000, 'late' as const, { ref: false })]);
    if (waited === 'late') sendSignal(pid, constants.signals.SIGKILL);
    await exited;
  }

  async pause(): Promise<void> {
    const { config, state, own, cgroup } = this.controlled;
    own.requireRunning();
    if (cgroup === undefined) {
      throw new OverlayError({
        operation: 'pause',
        path: config.name,
        reason: 'it has no cgroup to be frozen in',
        remedy: 'run it as root, or where the user may have cgroups',
      });
    }
    await cgroup.freeze(true);
    state.change({ status: 'paused' });
  }

  async unpause(): Promise<void> {
    const { state, cgroup } = this.controlled;
    if (state.now.status !== 'paused') return;
    await cgroup?.freeze(false);
    state.change({ status: 'running' });
  }
}
