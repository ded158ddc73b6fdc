// SPDX-License-Identifier: MIT
/**
 * What becomes of a command whose output cannot be written. Node ignores SIGPIPE, so a
 * reader that has gone (`| head`) shows as EPIPE: the command ends as by that signal,
 * without a word. Anything else, a full disk, is a failure like others.
 *
 * Work that must be put in order first (a mount, a paused container, a terminal) is
 * done in `inOrder`; other work is left where it is, as by a signal.
 */
import { fstatSync, writeSync } from 'node:fs';
import { OverlayError } from '../../base/errors.js';

export class OutputFailure extends OverlayError {
  /** Whoever read it has gone, which nobody needs to be told. */
  readonly isClosed: boolean;

  constructor(name: string, { code, errno }: NodeJS.ErrnoException) {
    const isFull = code === 'ENOSPC' || code === 'EDQUOT';
    super({
      operation: `write to ${name}`,
      errno,
      reason: isFull ? 'the disk is full' : undefined,
      remedy: isFull ? 'make room, or write somewhere else' : undefined,
    });
    this.isClosed = code === 'EPIPE';
  }
}

const failed = new AbortController();
/** How much work is going on that ends in order. */
let orderly = 0;
/** The process serves others, who are not to suffer from that nobody hears it. */
let isServing = false;
let isOver = false;
let abandon: (failure: OutputFailure) => void = () => undefined;

/** The failure of an output, if there was one: all that fails after it is its consequence. */
export function outputFailure(): OutputFailure | undefined {
  return failed.signal.reason as OutputFailure | undefined;
}

function fail(name: string, cause: NodeJS.ErrnoException): void {
  if (isServing || failed.signal.aborted) return;
  const failure = new OutputFailure(name, cause);
  failed.abort(failure);
  if (isOver) endAs(failure);
  else if (orderly === 0) abandon(failure);
}

/** Node's stream for files takes a write that was cut short, by a full disk, for a whole one. */
function writeWholly(stream: NodeJS.WriteStream, fd: number): void {
  if (stream.isTTY || !fstatSync(fd).isFile()) return;
  stream._write = (chunk: Buffer | string, encoding, done) => {
    const bytes = typeof chunk === 'string' ? Buffer.from(chunk, encoding) : chunk;
    try {
      for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
    } catch (failure) {
      done(failure as Error);
      return;
    }
    done();
  };
}

/** Settles as the work does, or throws an OutputFailure. */
export async function watchOutputs(work: () => Promise<void>): Promise<void> {
  const abandoned = new Promise<never>((_, reject) => {
    abandon = reject;
  });
  for (const [stream, fd, name] of [
    [process.stdout, 1, 'standard output'],
    [process.stderr, 2, 'standard error'],
  ] as const) {
    stream.on('error', (failure: NodeJS.ErrnoException) => fail(name, failure));
    writeWholly(stream, fd);
  }
  await Promise.race([work(), abandoned]);
}

/** Does work that puts things in order when the signal says that an output has failed. Throws that failure then. */
export async function inOrder<T>(work: (failed: AbortSignal) => Promise<T>): Promise<T> {
  orderly++;
  try {
    return await work(failed.signal);
  } finally {
    orderly--;
    failed.signal.throwIfAborted();
  }
}

/** Rejects when an output fails. */
export function rejection(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}

/** From now on it is as if nothing that is written were lost. */
export function serveUnheard(): void {
  isServing = true;
}

/** Nothing is left to do; what was written last may still fail. */
export function concludeOutputs(): void {
  isOver = true;
  const failure = outputFailure();
  if (failure !== undefined) endAs(failure);
}

/** Prints what is wrong, if anybody needs it, and ends. */
function endAs(failure: OutputFailure): void {
  if (failure.isClosed) dieOfClosedPipe();
  process.stderr.write(`tsoverlay: ${failure.message}\n`);
  process.exit(process.exitCode || 1);
}

/** A handler that is taken away leaves the signal's own effect, in the place of Node's ignoring it. */
function dieOfClosedPipe(): void {
  const handler = (): void => undefined;
  process.on('SIGPIPE', handler);
  process.off('SIGPIPE', handler);
  process.kill(process.pid, 'SIGPIPE');
}
