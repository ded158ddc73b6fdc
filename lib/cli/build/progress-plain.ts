// SPDX-License-Identifier: MIT
/** Progress as lines: for logs, and whoever reads them later. */
import { StringDecoder } from 'node:string_decoder';
import type { BuildProgress, Step } from '../../build/stage/progress.js';
import type { TransferProgress } from '../../image/transfer/progress.js';
import { transferProgress } from '../image/progress.js';

export function stepTitle({ stage, number, total, text }: Step): string {
  return `[${stage === '' ? '' : `${stage} `}${number}/${total}] ${text}`;
}

export function seconds(milliseconds: number): string {
  return `${(milliseconds / 1000).toFixed(1)}s`;
}

/** Splits what comes into whole lines. */
export class LineSplitter {
  /** A letter of several bytes may come in two pieces. */
  readonly #decoder = new StringDecoder('utf8');
  #rest = '';

  take(bytes: Buffer): string[] {
    // What draws over its own line has said it last.
    const lines = (this.#rest + this.#decoder.write(bytes)).split('\n');
    this.#rest = lines.pop()!;
    return lines.map(lastDrawn);
  }

  /** What has no line end. */
  end(): string[] {
    const rest = this.#rest + this.#decoder.end();
    this.#rest = '';
    return rest === '' ? [] : [lastDrawn(rest)];
  }
}

function lastDrawn(line: string): string {
  return line.replace(/\r$/, '').split('\r').at(-1)!;
}

interface Running {
  began: number;
  lines: LineSplitter;
}

export class PlainProgress implements BuildProgress {
  readonly #running = new Map<number, Running>();

  constructor(
    private readonly out: NodeJS.WritableStream,
    private readonly quiet: boolean,
  ) {}

  #write(text: string): void {
    if (!this.quiet) this.out.write(`${text}\n`);
  }

  begin(step: Step): void {
    this.#running.set(step.id, { began: Date.now(), lines: new LineSplitter() });
    this.#write(`#${step.id} ${stepTitle(step)}`);
  }

  output({ id }: Step, bytes: Buffer): void {
    for (const line of this.#running.get(id)!.lines.take(bytes)) this.#line(id, line);
  }

  #line(id: number, line: string): void {
    const { began } = this.#running.get(id)!;
    this.#write(`#${id} ${((Date.now() - began) / 1000).toFixed(3)} ${line}`);
  }

  end({ id }: Step, how: 'done' | 'cached' | 'failed'): void {
    const { began, lines } = this.#running.get(id)!;
    for (const line of lines.end()) this.#line(id, line);
    this.#running.delete(id);
    this.#write(
      `#${id} ${how === 'cached' ? 'CACHED' : `${how === 'done' ? 'DONE' : 'FAILED'} ${seconds(Date.now() - began)}`}`,
    );
  }

  note(text: string): void {
    this.out.write(`${text}\n`);
  }

  transfer(): TransferProgress {
    return transferProgress(this.quiet);
  }
}

/** One JSON object a line. */
export class JsonProgress implements BuildProgress {
  constructor(private readonly out: NodeJS.WritableStream) {}

  #write(event: string, fields: object): void {
    this.out.write(`${JSON.stringify({ event, time: new Date().toISOString(), ...fields })}\n`);
  }

  begin(step: Step): void {
    this.#write('begin', { ...step });
  }

  output({ id }: Step, bytes: Buffer): void {
    this.#write('output', { id, text: bytes.toString('utf8') });
  }

  end({ id }: Step, how: string): void {
    this.#write('end', { id, how });
  }

  note(text: string): void {
    this.#write('note', { text });
  }

  transfer(): TransferProgress {
    return {
      start: (layer, size) => this.#write('transfer', { layer, size }),
      advance: () => undefined,
      done: (layer, how) => this.#write('transferred', { layer, how }),
      note: (text) => this.note(text),
    };
  }
}
