// SPDX-License-Identifier: MIT
/** The runtime that needs nothing but this program (stage.ts). */

import type { Entry, Launch, Prepare, Runtime } from '../runtime/runtime.js';
import { Stage } from '../stage/stage-process.js';

export class BuiltinRuntime implements Runtime {
  constructor(private prepared?: Stage) {}

  start<T>({ connect, ...plan }: Launch, prepare: Prepare<T>): Promise<T> {
    const stage = this.prepared ?? new Stage();
    this.prepared = undefined;
    return stage.run({ kind: 'start', ...plan }, prepare, connect);
  }

  enter<T>(entry: Entry, prepare: Prepare<T>): Promise<T> {
    return new Stage(entry.member).run({ kind: 'enter', ...entry }, prepare);
  }

  /** The kernel ends all of a container with its first process. */
  async forget(): Promise<void> {
    this.prepared?.discard();
    this.prepared = undefined;
  }
}
