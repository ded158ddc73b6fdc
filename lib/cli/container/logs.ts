// SPDX-License-Identifier: MIT
/** `tsoverlay logs` */
import { watch } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { OverlayError, UsageError } from '../../base/errors.js';
import type { LogEntry } from '../../container/program/log-file.js';
import { LogReader } from '../../container/program/log-reader.js';
import { type Container, findContainer } from '../../container/state/containers.js';
import { readState } from '../../container/upkeep/recovery.js';
import { Store } from '../../image/store/store.js';
import type { Arguments } from '../commands/table.js';
import { parseMoment } from '../words/filters.js';

/** A follower looks again after so long even where the kernel tells it nothing. */
const LOOK_AGAIN_MS = 1000;

/** Characters. */
const PIECE = 65536;

/** Writes what is printed in large pieces, and no faster than somebody takes it. */
class LogPrinter {
  #stream: LogEntry['stream'] = 'stdout';
  #text = '';

  constructor(private readonly timestamps: boolean) {}

  async print({ log, stream, time }: LogEntry): Promise<void> {
    if (stream !== this.#stream || this.#text.length >= PIECE) await this.flush();
    this.#stream = stream;
    this.#text += this.timestamps ? `${time} ${log}` : log;
  }

  /** Whether it could be written is seen elsewhere (outputs.ts). */
  async flush(): Promise<void> {
    const out = this.#stream === 'stderr' ? process.stderr : process.stdout;
    const text = this.#text;
    this.#text = '';
    if (text !== '') await new Promise<void>((resolve) => out.write(text, () => resolve()));
  }
}

function tailOf(text: string): number {
  if (text === 'all') return Number.POSITIVE_INFINITY;
  if (/^\d+$/.test(text)) return Number(text);
  throw new UsageError(`--tail ${text} is not possible`, 'give a number of lines, or all');
}

function readerOf(container: Container): LogReader {
  const { name, options } = container.readConfig();
  if (options.log !== 'none') return new LogReader(container.path('log'), options.log);
  throw new OverlayError({
    operation: 'read the log of',
    path: name,
    reason: 'it was made with --log-driver none',
    remedy: `see what it writes with \`tsoverlay attach ${name}\``,
  });
}

export async function logs(args: Arguments<'logs'>): Promise<void> {
  const container = findContainer(Store.open(args.root), args.name);
  const since = args.since === undefined ? 0 : parseMoment(args.since);
  const until = args.until === undefined ? Number.POSITIVE_INFINITY : parseMoment(args.until);
  const isWanted = ({ time }: LogEntry): boolean => Date.parse(time) >= since && Date.parse(time) <= until;
  const tail = tailOf(args.tail);
  const printer = new LogPrinter(args.timestamps);
  const reader = readerOf(container);
  try {
    let kept: LogEntry[] = [];
    for (const entry of reader.read()) {
      if (!isWanted(entry)) continue;
      if (tail === Number.POSITIVE_INFINITY) await printer.print(entry);
      else {
        kept.push(entry);
        if (kept.length > 2 * tail + 1000) kept = kept.slice(-tail);
      }
    }
    if (tail > 0) for (const entry of kept.slice(-tail)) await printer.print(entry);
    await printer.flush();
    if (args.follow) await follow(container, reader, printer, isWanted);
  } finally {
    reader.close();
  }
}

/** Goes on until the container has ended and all it wrote was shown. */
async function follow(
  container: Container,
  reader: LogReader,
  printer: LogPrinter,
  isWanted: (entry: LogEntry) => boolean,
): Promise<void> {
  let wake = new AbortController();
  // The directory: the log is another file after each rotation.
  const watcher = watch(container.directory, () => wake.abort());
  try {
    for (;;) {
      wake = new AbortController();
      const { status } = container.exists ? await readState(container) : { status: 'exited' };
      for (const entry of reader.read()) if (isWanted(entry)) await printer.print(entry);
      await printer.flush();
      if (status !== 'running' && status !== 'paused') return;
      await delay(LOOK_AGAIN_MS, undefined, { signal: wake.signal }).catch(() => undefined);
    }
  } finally {
    watcher.close();
  }
}
