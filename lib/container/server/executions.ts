// SPDX-License-Identifier: MIT
/** The programs that are run beside a container's own. */
import type { HeldList } from '../../supervise/held.js';
import type { Program } from '../program/program.js';
import type { ExecRequest } from '../wire/protocol.js';
import type { KeptExecution } from './container-memory.js';
import { Execution, type ExecutionHost, execute } from './execution.js';
import type { Keeping } from './keeping.js';

export class Executions {
  readonly #running = new Map<string, Execution>();

  constructor(private readonly keeping: Keeping) {}

  /** Runs a program; `begun` is called before it writes anything. Throws an OverlayError. */
  async begin(
    host: ExecutionHost,
    key: string,
    request: ExecRequest,
    isDetached: boolean,
    begun: (execution: Execution) => void,
  ): Promise<Execution> {
    try {
      return await execute(host, key, request, isDetached, (execution) => {
        this.#add(execution);
        begun(execution);
        this.keeping.renew();
      });
    } catch (failure) {
      if (this.#running.delete(key)) this.keeping.renewSoon();
      throw failure;
    }
  }

  /** Goes on with those of an earlier server. */
  resume(all: readonly KeptExecution[]): void {
    for (const kept of all) this.#add(Execution.resume(kept));
  }

  #add(execution: Execution): void {
    const { key, program, ended } = execution;
    this.#running.set(key, execution);
    program.streams.inputEnded = () => this.keeping.renewSoon();
    void ended.then(() => {
      this.#running.delete(key);
      program.memory.close();
      this.keeping.renewSoon();
    });
  }

  get(key: string): Execution | undefined {
    return this.#running.get(key);
  }

  /** Nobody needs one to be kept whose terminal has been hung up. */
  keepIn(list: HeldList): KeptExecution[] {
    return [...this.#running.values()]
      .filter(({ program }) => !program.streams.isClosed)
      .map((one) => one.keptWith(one.program.keepIn(list)));
  }

  /** A terminal's user has gone. */
  hangUp(program: Program): void {
    program.streams.close();
    this.keeping.renewSoon();
  }
}
