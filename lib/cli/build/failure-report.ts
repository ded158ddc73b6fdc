// SPDX-License-Identifier: MIT
/** After a RUN that failed: what it wrote last, and where in the Dockerfile it stands. */
import type { BuildProgress, Step } from '../../build/stage/progress.js';
import type { TransferProgress } from '../../image/transfer/progress.js';
import { LineSplitter, stepTitle } from './progress-plain.js';

const MOST_LINES = 20;
const CONTEXT_LINES = 2;

/** Keeps the last lines of each running step; all else is the other progress's. */
export class RememberingProgress implements BuildProgress {
  readonly #running = new Map<number, { lines: LineSplitter; last: string[] }>();
  #failed: string[] | undefined;

  constructor(private readonly shown: BuildProgress) {}

  /** Of the first step that failed. */
  get failed(): readonly string[] | undefined {
    return this.#failed;
  }

  begin(step: Step): void {
    this.#running.set(step.id, { lines: new LineSplitter(), last: [] });
    this.shown.begin(step);
  }

  output(step: Step, bytes: Buffer): void {
    const running = this.#running.get(step.id)!;
    running.last = [...running.last, ...running.lines.take(bytes)].slice(-MOST_LINES);
    this.shown.output(step, bytes);
  }

  end(step: Step, how: 'done' | 'cached' | 'failed'): void {
    const { lines, last } = this.#running.get(step.id)!;
    this.#running.delete(step.id);
    if (how === 'failed') this.#failed ??= [` > ${stepTitle(step)}:`, ...last, ...lines.end()];
    this.shown.end(step, how);
  }

  note(text: string): void {
    this.shown.note(text);
  }

  transfer(): TransferProgress {
    return this.shown.transfer();
  }
}

/** Some lines of the Dockerfile, the one that is meant marked. */
export function excerpt(text: string, file: string, line: number): string {
  const lines = text.split('\n');
  const first = Math.max(1, line - CONTEXT_LINES);
  const shown = lines.slice(first - 1, line + CONTEXT_LINES).map((one, index) => {
    const number = first + index;
    return `${String(number).padStart(4)} | ${number === line ? '>>>' : '   '} ${one}`;
  });
  return `${file}:${line}\n${shown.join('\n')}\n`;
}
