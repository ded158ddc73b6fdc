// SPDX-License-Identifier: MIT
/** Calls that change several names: `mkdir` and `rm` with `recursive`, `mkdtemp`. Each is done in one go. */
import { randomInt } from 'node:crypto';
import { type ByteString, fromText, toText } from '../base/bytes.js';
import { EEXIST, EISDIR, ENOENT, ENOTDIR } from '../base/errno.js';
import { below } from './directory.js';
import { codedError, FileError } from './errors.js';
import { mkdir, rmdir, unlink } from './names.js';
import type { View } from './view.js';

/**
 * Makes a directory and those above it that are missing; answers the first one that it made, as it is
 * written in the path (MKDirpAsync in Node's src/node_file.cc).
 */
export function makeDirectories(view: View, path: ByteString, mode: number): ByteString | undefined {
  const waiting = [path];
  let first: ByteString | undefined;
  for (let at = waiting.pop(); at !== undefined; at = waiting.pop()) {
    const { code } = attempt(() => mkdir(view, at!, mode)) ?? {};
    if (code === undefined) first ??= at;
    else if (code === 'ENOENT') {
      const parent = at.replace(/\/*[^/]*\/*$/, '');
      if (parent === '' || parent === at) throw new FileError(-ENOENT, { syscall: 'mkdir', path });
      waiting.push(at, parent);
    } else judgePresent(view, at, waiting.length > 0, path);
  }
  return first;
}

/** What could not be made may be there already. */
function judgePresent(view: View, at: ByteString, isParent: boolean, path: ByteString): void {
  const failed = { syscall: 'mkdir', path };
  view.at(at, true, failed, (node) => {
    if (!node.isDirectory()) throw new FileError(isParent ? -ENOTDIR : -EEXIST, failed);
  });
}

function attempt(act: () => void): FileError | undefined {
  try {
    act();
    return undefined;
  } catch (failure) {
    if (failure instanceof FileError) return failure;
    throw failure;
  }
}

/** Removes what is at a path; with `force` it may be missing. */
export function remove(view: View, path: ByteString, recursive: boolean, force: boolean): void {
  const found = attempt(() => void view.stat(path, false));
  if (found !== undefined) {
    if (force && found.code === 'ENOENT') return;
    throw found;
  }
  const isDirectory = view.lookUp(path)?.isDirectory() === true;
  if (isDirectory && !recursive) throw isDirectoryError('rm', path);
  if (isDirectory) removeTree(view, path);
  else unlink(view, path);
}

function removeTree(view: View, path: ByteString): void {
  for (const { name } of view.list(path)) {
    const child = below(path, name);
    if (view.lookUp(child)?.isDirectory() === true) removeTree(view, child);
    else unlink(view, child);
  }
  rmdir(view, path);
}

/** Node's SystemError of rm and cp for a directory that `recursive` was not said for. */
export function isDirectoryError(syscall: 'rm' | 'cp', path: ByteString): Error {
  return systemError('ERR_FS_EISDIR', {
    message: syscall === 'rm' ? 'is a directory' : `${toText(path)} is a directory (not copied)`,
    code: 'EISDIR',
    about: 'Path is a directory',
    errno: EISDIR,
    syscall,
    path: toText(path),
  });
}

export interface SystemErrorInfo {
  message: string;
  /** The errno's name. */
  code: string;
  /** What the code means. */
  about: string;
  errno: number;
  syscall: string;
  path: string;
  dest?: string;
}

export function systemError(code: string, { about, ...info }: SystemErrorInfo): Error {
  const { syscall, path, dest, errno, message } = info;
  const text = `${about}: ${syscall} returned ${info.code} (${message}) ${path}${dest === undefined ? '' : ` => ${dest}`}`;
  const error = new Error(text);
  error.name = 'SystemError';
  return codedError(error, code, { info, errno, syscall, path, ...(dest === undefined ? {} : { dest }) });
}

const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';

/** Makes a directory whose name begins so and ends in six letters of chance (mkdtemp(3)). */
export function makeTemporary(view: View, prefix: ByteString): ByteString {
  for (let tries = 0; ; tries++) {
    const end = Array.from({ length: 6 }, () => LETTERS[randomInt(LETTERS.length)]).join('');
    const path = `${prefix}${fromText(end)}`;
    const failure = attempt(() => mkdir(view, path, 0o700));
    if (failure === undefined) return path;
    if (failure.code !== 'EEXIST' || tries > 100) {
      throw new FileError(failure.errno!, { syscall: 'mkdtemp', path: `${prefix}XXXXXX` });
    }
  }
}
