// SPDX-License-Identifier: MIT
/**
 * A mount served by a process of its own, which stays when the one that asked
 * goes. The two talk over a socket on descriptor 3: options in, then one line
 * back, that the mount can be used or why not.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { type ErrorStory, OverlayError, UsageError } from '../base/errors.js';
import { readLine } from './line.js';
import type { MountOptions } from './mount.js';
import { prepareRuntimeDirectory, removeServerFiles, serverFiles } from './registry.js';

export interface StartRequest {
  target: string;
  options: MountOptions;
}

export type StartAnswer =
  | { started: true }
  | { usage: boolean; story: ErrorStory; stack: string | undefined };

/** Where the server finds the descriptor of /dev/fuse that it is handed, if there is one. */
const PASSED_DEVICE = 4;

/** Bytes; as much as the longest list of layers needs. */
export const LONGEST_REQUEST = 4 << 20;

interface StartingServer {
  child: ChildProcess;
  channel: Duplex;
}

let prepared: StartingServer | undefined;

/**
 * Starts a server that waits for its request, so that it and the program that
 * is still working out what to ask start side by side. Who prepares a server
 * either mounts or calls discardPreparedServer. `device` is the request's.
 */
export function prepareServer(device?: number): void {
  prepared ??= startServer(device);
}

/** Ends a prepared server that nobody asked for anything. */
export function discardPreparedServer(): void {
  if (prepared === undefined) return;
  const { child, channel } = prepared;
  prepared = undefined;
  child.kill('SIGKILL');
  channel.destroy();
  child.unref();
  removeServerFiles(child.pid!);
}

function startServer(device: number | undefined): StartingServer {
  const directory = prepareRuntimeDirectory();
  const starting = join(directory, `starting-${process.pid}.log`);
  const log = openSync(starting, 'a', 0o600);
  const main = fileURLToPath(new URL('./background-main.js', import.meta.url));
  const child = spawn(process.execPath, [main], {
    detached: true,
    cwd: '/',
    stdio: ['ignore', log, log, 'pipe', ...(device === undefined ? [] : [device])],
  });
  closeSync(log);
  renameSync(starting, serverFiles(child.pid!).log);
  return { child, channel: child.stdio[3] as Duplex };
}

/** Starts the server, or takes the prepared one; settles with its process id when the mount can be used. */
export async function mountInBackground({ target, options }: StartRequest): Promise<number> {
  const { child, channel } = prepared ?? startServer(options.device);
  prepared = undefined;
  const device = options.device === undefined ? undefined : PASSED_DEVICE;
  try {
    const answer = await exchange(channel, { target, options: { ...options, device } }, child.pid!);
    if ('started' in answer) return child.pid!;
    throw answer.usage
      ? new UsageError(answer.story.reason ?? '', answer.story.remedy)
      : new OverlayError({ ...answer.story, cause: answer.stack });
  } finally {
    channel.destroy();
    child.unref();
  }
}

async function exchange(channel: Duplex, request: StartRequest, pid: number): Promise<StartAnswer> {
  const answer = readLine(channel, LONGEST_REQUEST);
  channel.write(`${JSON.stringify(request)}\n`);
  try {
    return JSON.parse(await answer) as StartAnswer;
  } catch (cause) {
    throw new OverlayError({
      operation: 'start the server',
      reason: 'it ended before the mount was ready',
      remedy: `see ${serverFiles(pid).log}`,
      cause,
    });
  }
}
