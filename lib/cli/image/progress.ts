// SPDX-License-Identifier: MIT
/** How far a transfer is: a line a layer on a terminal, drawn over; a line an event elsewhere. */
import type { TransferProgress } from '../../image/transfer/progress.js';
import { decimalSize } from '../words/format.js';

interface Line {
  size: number;
  received: number;
  state: string | undefined;
}

const REDRAW_MS = 100;
const BAR_WIDTH = 30;

class TerminalProgress implements TransferProgress {
  readonly #lines = new Map<string, Line>();
  #drawn = 0;
  #last = 0;

  constructor(private readonly out: NodeJS.WriteStream) {}

  start(layer: string, size: number): void {
    this.#lines.set(layer, { size, received: 0, state: undefined });
    this.#draw();
  }

  advance(layer: string, bytes: number): void {
    const line = this.#lines.get(layer);
    if (line !== undefined) line.received += bytes;
    if (Date.now() - this.#last >= REDRAW_MS) this.#draw();
  }

  done(layer: string, how: string): void {
    const line = this.#lines.get(layer) ?? { size: 0, received: 0, state: undefined };
    line.state = how;
    this.#lines.set(layer, line);
    this.#draw();
  }

  note(message: string): void {
    this.#erase();
    this.out.write(`${message}\n`);
    this.#draw();
  }

  #erase(): void {
    if (this.#drawn > 0) this.out.write(`\x1b[${this.#drawn}A\x1b[J`);
    this.#drawn = 0;
  }

  #draw(): void {
    this.#last = Date.now();
    // What scrolled out of the window cannot be drawn over, so only as many lines as fit are kept in motion.
    const room = Math.max(1, (this.out.rows ?? 24) - 1);
    const shown = [...this.#lines].slice(-room);
    this.#erase();
    for (const [layer, line] of shown) this.out.write(`${layer}: ${this.#describe(line)}\n`);
    this.#drawn = shown.length;
  }

  #describe({ size, received, state }: Line): string {
    if (state !== undefined) return state;
    const filled = size === 0 ? BAR_WIDTH : Math.min(BAR_WIDTH, Math.floor((received / size) * BAR_WIDTH));
    const bar = `${'='.repeat(filled)}>`.slice(0, BAR_WIDTH).padEnd(BAR_WIDTH);
    return `[${bar}] ${decimalSize(received)}/${decimalSize(size)}`;
  }
}

class PlainProgress implements TransferProgress {
  constructor(private readonly out: NodeJS.WritableStream) {}

  start(layer: string): void {
    this.out.write(`${layer}: Transferring\n`);
  }

  advance(): void {
    // Only a terminal shows how far a layer is.
  }

  done(layer: string, how: string): void {
    this.out.write(`${layer}: ${how}\n`);
  }

  note(message: string): void {
    this.out.write(`${message}\n`);
  }
}

/** Silent but for what people should know. */
class QuietProgress extends PlainProgress {
  override start(): void {
    // Nothing is asked for.
  }

  override done(): void {
    // Nothing is asked for.
  }
}

/** Progress goes to standard error, so that standard output is what a program reads. */
export function transferProgress(quiet: boolean): TransferProgress {
  if (quiet) return new QuietProgress(process.stderr);
  return process.stderr.isTTY ? new TerminalProgress(process.stderr) : new PlainProgress(process.stderr);
}
