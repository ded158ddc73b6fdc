// SPDX-License-Identifier: MIT
/**
 * A mount served by a process of its own, which stays when the one that asked
 * goes. The two talk over a socket on descriptor 3: options in, then one line
 * back, that the mount can be used or why not.
 */
import type { Duplex } from 'node:stream';
import { OverlayError } from '../base/errors.js';
import { decodeError, type WireError } from '../supervise/error-wire.js';
import { readValue, writeValue } from '../supervise/json-lines.js';
import { serverFiles } from '../supervise/server-files.js';
import { GIVEN_DEVICE_FD, ServerProcess } from '../supervise/spawn.js';
import type { MountOptions } from './mount.js';
import { MOUNT_MAIN } from './mount-shim.js';

export interface StartRequest {
  target: string;
  options: MountOptions;
}

export type StartAnswer = { started: true } | { failed: WireError };

/** Characters; as much as the longest list of layers needs. */
export const LONGEST_REQUEST = 4 << 20;

let prepared: ServerProcess | undefined;

/**
 * Starts a server that waits for its request, so that it and the program that is still
 * working out what to ask start side by side. The caller then either mounts or calls
 * discardPreparedServer. `device` is the request's.
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
  return started ?? ServerProcess.start(MOUNT_MAIN, { device });
}

/** Starts the server, or takes the prepared one; settles with its process id when the mount can be used. */
export async function mountInBackground({ target, options }: StartRequest): Promise<number> {
  const server = prepared ?? startServer(options.device);
  prepared = undefined;
  const device = options.device === undefined ? undefined : GIVEN_DEVICE_FD;
  const channel = await server.channel;
  try {
    const answer = await exchange(channel, { target, options: { ...options, device } }, server.pid);
    if ('failed' in answer) throw decodeError(answer.failed);
    return server.pid;
  } finally {
    channel.destroy();
    server.leave();
  }
}

async function exchange(channel: Duplex, request: StartRequest, pid: number): Promise<StartAnswer> {
  const answer = readValue<StartAnswer>(channel, { longest: LONGEST_REQUEST });
  writeValue(channel, request);
  try {
    return await answer;
  } catch (cause) {
    throw new OverlayError({
      operation: 'start the server',
      reason: 'it ended before the mount was ready',
      remedy: `see ${serverFiles(pid).log}`,
      cause,
    });
  }
}
