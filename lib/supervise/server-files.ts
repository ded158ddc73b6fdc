// SPDX-License-Identifier: MIT
/** What one server has in the runtime directory: the record of its mount, its control socket, its log. */
import { existsSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { hasProcess } from '../sys/proc.js';
import { listRuntimeDirectory, runtimeDirectory } from './runtime-directory.js';

export interface ServerFiles {
  record: string;
  socket: string;
  log: string;
}

export function serverFiles(pid: number, directory = runtimeDirectory()): ServerFiles {
  return {
    record: join(directory, `${pid}.json`),
    socket: join(directory, `${pid}.sock`),
    log: join(directory, `${pid}.log`),
  };
}

/** Where a server that bin/tsoverlay has started waits for the command, by the command's process id. */
export function startingSocket(command: number): string {
  return join(runtimeDirectory(), `starting-${command}.sock`);
}

/** Removes what a server has in the runtime directory; its log stays if there is anything in it. */
export function removeServerFiles(pid: number): void {
  const files = serverFiles(pid);
  rmSync(files.record, { force: true });
  rmSync(files.socket, { force: true });
  if (isEmptyFile(files.log)) rmSync(files.log, { force: true });
}

/** The files of a server that has ended become those of its successor, this process. */
export function inheritServerFiles(pid: number): void {
  const former = serverFiles(pid);
  rmSync(former.socket, { force: true });
  const own = serverFiles(process.pid);
  for (const [from, to] of [
    [former.record, own.record],
    [former.log, own.log],
  ]) {
    if (existsSync(from)) renameSync(from, to);
  }
}

/** Removes what servers have left that were killed before anybody knew of them. */
export function sweepServerFiles(): void {
  for (const name of listRuntimeDirectory()) {
    const [, starting, pid] = /^(starting-)?(\d+)\.(?:json|sock|log)$/.exec(name) ?? [];
    if (pid === undefined || hasProcess(Number(pid))) continue;
    if (starting === undefined) removeServerFiles(Number(pid));
    else rmSync(join(runtimeDirectory(), name), { force: true });
  }
}

function isEmptyFile(path: string): boolean {
  try {
    return readFileSync(path).length === 0;
  } catch (failure) {
    if ((failure as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw failure;
  }
}
