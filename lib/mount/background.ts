// SPDX-License-Identifier: MIT
/**
 * A mount served by a process of its own, which stays when the one that asked
 * goes. The two talk over a socket on descriptor 3: options in, then one line
 * back, that the mount can be used or why not.
 */
import type { Duplex } from 'node:stream';
import { type ErrorStory, OverlayError, UsageError } from '../base/errors.js';
import { readLine } from './line.js';
import type { MountOptions } from './mount.js';
import { serverFiles } from './registry.js';
import { SERVER_MAIN, ServerProcess } from './server-process.js';

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

let prepared: ServerProcess | undefined;

/**
 * Starts a server that waits for its request, so that it and the program that
 * is still working out what to ask start side by side. Who prepares a server
 * either mounts or calls discardPreparedServer. `device` is the request's.
 */
export function prepareServer(device?: number): void {
  prepared ??= startServer(device);
}

/** Ends a prepared server that nobody asked for anything. */
export async function discardPreparedServer(): Promise<void> {
  const server = prepared;
  prepared = undefined;
  await server?.discard();
}

function startServer(device: number | undefined): ServerProcess {
  const started = device === undefined ? ServerProcess.started() : undefined;
  return started ?? ServerProcess.start(SERVER_MAIN, { device });
}

/** Starts the server, or takes the prepared one; settles with its process id when the mount can be used. */
export async function mountInBackground({ target, options }: StartRequest): Promise<number> {
  const server = prepared ?? startServer(options.device);
  prepared = undefined;
  const device = options.device === undefined ? undefined : PASSED_DEVICE;
  const channel = await server.channel;
  try {
    const answer = await exchange(channel, { target, options: { ...options, device } }, server.pid);
    if ('started' in answer) return server.pid;
    throw answer.usage
      ? new UsageError(answer.story.reason ?? '', answer.story.remedy)
      : new OverlayError({ ...answer.story, cause: answer.stack });
  } finally {
    channel.destroy();
    server.leave();
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
