// SPDX-License-Identifier: MIT
/**
 * A scope of steps that are undone together unless the scope is committed:
 *
 *   using undo = new Rollback();
 *   const fd = open(...); undo.push(() => close(fd));
 *   ...
 *   undo.commit();
 *
 * Whatever way the block is left, no step can be forgotten. Steps are undone
 * last first; one that fails does not keep the others from being undone.
 */
export class Rollback implements Disposable {
  #steps: (() => void)[] = [];

  push(undo: () => void): void {
    this.#steps.push(undo);
  }

  commit(): void {
    this.#steps = [];
  }

  [Symbol.dispose](): void {
    const failures: unknown[] = [];
    for (let undo = this.#steps.pop(); undo !== undefined; undo = this.#steps.pop()) {
      try {
        undo();
      } catch (failure) {
        failures.push(failure);
      }
    }
    throwFailures(failures);
  }
}

/** The same for steps that take their time: `await using undo = new AsyncRollback()`. */
export class AsyncRollback implements AsyncDisposable {
  #steps: (() => void | Promise<void>)[] = [];

  push(undo: () => void | Promise<void>): void {
    this.#steps.push(undo);
  }

  /** Hands the steps over to another scope. */
  moveTo(other: AsyncRollback): void {
    for (const step of this.#steps) other.push(step);
    this.#steps = [];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const failures: unknown[] = [];
    for (let undo = this.#steps.pop(); undo !== undefined; undo = this.#steps.pop()) {
      try {
        await undo();
      } catch (failure) {
        failures.push(failure);
      }
    }
    throwFailures(failures);
  }
}

/** One failure speaks for itself. */
function throwFailures(failures: readonly unknown[]): void {
  if (failures.length === 1) throw failures[0];
  if (failures.length > 1) {
    const reasons = failures.map((failure) => (failure instanceof Error ? failure.message : String(failure)));
    throw new AggregateError(failures, `undo a change: ${reasons.join('; ')}`);
  }
}
