// SPDX-License-Identifier: MIT
/**
 * Errors in the shape of Node's: `code`, `errno`, `syscall`, `path`, `dest` and a message such as
 * `ENOENT: no such file or directory, open '/x'`. They stay OverlayErrors, with the reason and the
 * remedy where there is one.
 */
import { getSystemErrorMap } from 'node:util';
import { type ByteString, toText } from '../base/bytes.js';
import { EBADF, type Errno, errnoName } from '../base/errno.js';
import { OverlayError } from '../base/errors.js';

/** What a system call failed on. */
export interface Failed {
  syscall: string;
  path?: ByteString | undefined;
  dest?: ByteString | undefined;
  /** More than the errno says. */
  reason?: string | undefined;
  remedy?: string | undefined;
}

export class FileError extends OverlayError {
  readonly syscall: string;
  declare readonly dest?: string;

  constructor(errno: Errno, { syscall, path, dest, reason, remedy }: Failed) {
    const shown = { path: path === undefined ? undefined : toText(path) };
    super({ operation: syscall, ...shown, errno, reason, remedy });
    this.syscall = syscall;
    if (dest !== undefined) this.dest = toText(dest);
    const what = [syscall, shown.path === undefined ? '' : ` '${shown.path}'`];
    if (this.dest !== undefined) what.push(` -> '${this.dest}'`);
    const why = reason ?? meaningOf(errno);
    this.message = `${this.code}: ${why}, ${what.join('')}${remedy === undefined ? '' : `; ${remedy}`}`;
  }
}

/** Errors that an overlay meets and libuv has no words for. */
const FURTHER: Record<string, string> = {
  ESTALE: 'a layer was changed under the overlay',
  EDQUOT: 'disk quota exceeded',
  ENODATA: 'no data available',
  EOPNOTSUPP: 'operation not supported',
};

function meaningOf(errno: Errno): string {
  const name = errnoName(errno);
  return FURTHER[name] ?? getSystemErrorMap().get(-Math.abs(errno))?.[1] ?? 'unknown error';
}

/** Throws for a negated errno, else gives the result back. */
export function done(status: number, failed: Failed): number {
  if (status < 0) throw new FileError(status, failed);
  return status;
}

/** A value, or the error that stands for a negated errno; for calls that answer no other numbers. */
export function value<Result>(answer: Result | Errno, failed: Failed): Result {
  if (typeof answer === 'number') throw new FileError(answer, failed);
  return answer;
}

export function closedError(syscall: string, reason: string, remedy?: string): FileError {
  return new FileError(-EBADF, { syscall, reason, remedy });
}

/** An error of Node's own kind: a class of JavaScript's with a `code`. */
export function codedError<Kind extends Error>(error: Kind, code: string, more: object = {}): Kind {
  // As in Node's own, the code is in the stack and not in the name.
  const { name } = error;
  error.name = `${name} [${code}]`;
  void error.stack;
  error.name = name;
  return Object.assign(error, { code, ...more });
}

export function notImplemented(method: string, remedy?: string): Error {
  const text = `The ${method} method is not implemented${remedy === undefined ? '' : `; ${remedy}`}`;
  return codedError(new Error(text), 'ERR_METHOD_NOT_IMPLEMENTED');
}
