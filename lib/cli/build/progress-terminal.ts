// SPDX-License-Identifier: MIT
/** Progress on a terminal: a line a step, and below a running one the last lines that it wrote. */
import type { BuildProgress, Step } from '../../build/stage/progress.js';
import type { TransferProgress } from '../../image/transfer/progress.js';
import { LineSplitter, seconds, stepTitle } from './progress-plain.js';

interface Running {
  step: Step;
  began: number;
  lines: LineSplitter;
  shown: string[];
}

const REDRAW_MS = 100;
const MOST_LINES = 6;

/** What would move the cursor about is left out; colours stay out with it. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const CONTROLS = /\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07]*\x07|.)|[\x00-\x08\x0b-\x1f\x7f]/g;

export class TerminalProgress implements BuildProgress {
  readonly #running = new Map<number, Running>();
  readonly #began = Date.now();
  #drawn = 0;
  #timer: NodeJS.Timeout | undefined;
  #steps = 0;

  constructor(private readonly out: NodeJS.WriteStream) {}

  begin(step: Step): void {
    this.#steps++;
    this.#running.set(step.id, { step, began: Date.now(), lines: new LineSplitter(), shown: [] });
    this.#timer ??= setInterval(() => this.#redraw(), REDRAW_MS).unref();
    this.#redraw();
  }

  output({ id }: Step, bytes: Buffer): void {
    const running = this.#running.get(id)!;
    const lines = running.lines.take(bytes).map((line) => line.replaceAll('\t', '  ').replace(CONTROLS, ''));
    running.shown = [...running.shown, ...lines].slice(-MOST_LINES);
  }

  end({ id }: Step, how: 'done' | 'cached' | 'failed'): void {
    const { step, began } = this.#running.get(id)!;
    this.#running.delete(id);
    const time = how === 'cached' ? 'CACHED' : seconds(Date.now() - began);
    const mark = how === 'failed' ? 'FAILED ' : '';
    this.#over(`${this.#fit(` ${mark}${stepTitle(step)}`, time)}\n`);
  }

  note(text: string): void {
    this.#over(`${text}\n`);
  }

  /** The last thing to be drawn. */
  finish(): void {
    clearInterval(this.#timer);
    this.#over(`Built in ${seconds(Date.now() - this.#began)}, ${this.#steps} steps\n`);
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#erase();
  }

  transfer(): TransferProgress {
    const sizes = new Map<string, number>();
    const got = new Map<string, number>();
    const show = (): void => {
      for (const running of this.#running.values()) {
        if (!running.step.text.startsWith('FROM')) continue;
        running.shown = [...sizes]
          .map(([layer, size]) => `${layer} ${got.get(layer) ?? 0} of ${size} bytes`)
          .slice(-MOST_LINES);
      }
    };
    return {
      start: (layer, size) => void sizes.set(layer, size),
      advance: (layer, bytes) => {
        got.set(layer, (got.get(layer) ?? 0) + bytes);
        show();
      },
      done: (layer) => {
        sizes.delete(layer);
        show();
      },
      note: (text) => this.note(text),
    };
  }

  #fit(left: string, right: string): string {
    const width = (this.out.columns ?? 80) - 1;
    const room = width - right.length - 1;
    const shown = left.length > room ? `${left.slice(0, Math.max(0, room - 1))}…` : left.padEnd(room);
    return `${shown} ${right}`;
  }

  #erase(): void {
    if (this.#drawn > 0) this.out.write(`\x1b[${this.#drawn}A\x1b[J`);
    this.#drawn = 0;
  }

  #over(text: string): void {
    this.#erase();
    this.out.write(text);
    this.#redraw();
  }

  #redraw(): void {
    this.#erase();
    const room = Math.max(2, (this.out.rows ?? 24) - 2);
    const lines = [...this.#running.values()].flatMap(({ step, began, shown }) => [
      this.#fit(` => ${stepTitle(step)}`, seconds(Date.now() - began)),
      ...shown.map((line) => this.#fit(`    ${line}`, '')),
    ]);
    const visible = lines.slice(-room);
    for (const line of visible) this.out.write(`${line}\n`);
    this.#drawn = visible.length;
  }
}
