// SPDX-License-Identifier: MIT
/** The programs that are run beside a container's own. */
import { OverlayError } from '../../base/errors.js';
import type { HeldList } from '../../supervise/held.js';
import type { Program } from '../program/program.js';
import type { ExecMessage } from '../wire/protocol.js';
import type { KeptExecution } from './container-memory.js';
import { Execution, type ExecutionHost, execute } from './execution.js';
import type { Keeping } from './keeping.js';

export class Executions {
  readonly #running = new Map<string, Execution>();
  readonly #inputEnded = (): void => this.keeping.renewSoon();

  constructor(
    private readonly keeping: Keeping,
    private readonly host: ExecutionHost,
  ) {}

  /** Runs a program; `begun` is called before it writes anything. Throws an OverlayError. */
  async begin({ key, request }: ExecMessage, begun: (execution: Execution) => void): Promise<Execution> {
    this.#refusePaused();
    const terms = { key, isTerminal: request.terminal };
    try {
      return await execute(this.host, request, (running) => {
        const execution = Execution.begin(terms, running, this.#inputEnded);
        if (!request.interactive) execution.program.streams.endInput();
        this.#add(execution);
        begun(execution);
        this.keeping.renew();
        return execution;
      });
    } catch (failure) {
      if (this.#running.delete(key)) this.keeping.renewSoon();
      throw failure;
    }
  }

  #refusePaused(): void {
    const { state, config } = this.host;
    if (state.now.status !== 'paused') return;
    throw new OverlayError({
      operation: 'run in container',
      path: config.name,
      reason: 'it is paused',
      remedy: `let it go on with \`tsoverlay unpause ${config.name}\``,
    });
  }

  /** Goes on with those of an earlier server. */
  takeOver(all: readonly KeptExecution[]): void {
    for (const kept of all) this.#add(Execution.takeOver(kept, this.#inputEnded));
  }

  #add(execution: Execution): void {
    const { key, program, ended } = execution;
    this.#running.set(key, execution);
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
      .map((one) => one.keepIn(list));
  }

  /** A terminal's user has gone. */
  hangUp(program: Program): void {
    program.streams.close();
    this.keeping.renewSoon();
  }
}
