// SPDX-License-Identifier: MIT
/**
 * Where live servers have their files: records of mounts, control sockets, logs. It lasts as long as the machine
 * runs, and only its user may enter it.
 */
import { accessSync, chmodSync, constants, lstatSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { OverlayError } from '../base/errors.js';

/**
 * `TSOVERLAY_RUNTIME_DIR`, else /run/tsoverlay for root, else the user's runtime
 * directory. Root of a user namespace may not write in /run, which is the host's.
 */
export function runtimeDirectory(): string {
  const given = process.env.TSOVERLAY_RUNTIME_DIR;
  if (given) return given;
  if (process.getuid!() === 0 && isWritable('/run')) return '/run/tsoverlay';
  return process.env.XDG_RUNTIME_DIR
    ? join(process.env.XDG_RUNTIME_DIR, 'tsoverlay')
    : `/tmp/tsoverlay-${process.getuid!()}`;
}

function isWritable(directory: string): boolean {
  try {
    accessSync(directory, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** Makes the runtime directory and answers its path. Throws an OverlayError where it is another user's. */
export function prepareRuntimeDirectory(): string {
  const directory = runtimeDirectory();
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    checkOwner(directory);
    chmodSync(directory, 0o700);
  } catch (cause) {
    throw runtimeFailure('create runtime directory', directory, cause);
  }
  return directory;
}

/**
 * The names in it; none where it is not there. What another user has put in the place of ours, which in /tmp
 * anybody can, is not believed: it would say what is mounted where. A directory that was named is its
 * user's choice.
 */
export function listRuntimeDirectory(): string[] {
  const directory = runtimeDirectory();
  try {
    if (!process.env.TSOVERLAY_RUNTIME_DIR) checkOwner(directory);
    return readdirSync(directory);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT') return [];
    throw runtimeFailure('read runtime directory', directory, cause);
  }
}

function checkOwner(directory: string): void {
  const { uid } = lstatSync(directory);
  if (uid !== process.getuid!()) throw new Error(`it belongs to user ${uid}`);
}

function runtimeFailure(operation: string, path: string, cause: unknown): OverlayError {
  const { code, message } = cause as NodeJS.ErrnoException;
  const reason = code === 'EACCES' ? "it is another user's" : message;
  return new OverlayError({
    operation,
    path,
    reason,
    remedy: 'set TSOVERLAY_RUNTIME_DIR to a directory that you own',
    cause,
  });
}
