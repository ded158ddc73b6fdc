// SPDX-License-Identifier: MIT
/**
 * The serving thread: opens the layers, mounts, serves until the mount is gone.
 * It takes one message, its input, and sends two, that it is ready and that it
 * has ended. An error in a request is reported and answered EIO by the session;
 * the thread goes on.
 */
import { parentPort } from 'node:worker_threads';
import { errnoName } from '../base/errno.js';
import { type ErrorStory, OverlayError } from '../base/errors.js';
import { serveDevice } from '../fuse/device.js';
import { closeDevice, mountFuse, unmountFuse } from '../fuse/mount.js';
import { Session } from '../fuse/session.js';
import { completeCopies, copyOn } from '../overlay/lazy-copy.js';
import { openUnion } from '../overlay/open.js';
import { unshareUmask } from '../sys/thread.js';
import type { MountConfig } from './config.js';
import { OverlayFileSystem } from './handler.js';
import { SharedFigures } from './shared-figures.js';

export interface ThreadInput {
  config: MountConfig;
  figures: SharedArrayBuffer;
}

export type ThreadMessage =
  | { kind: 'ready' }
  | { kind: 'refused'; usage: boolean; story: ErrorStory; message: string }
  | { kind: 'fault'; text: string }
  | { kind: 'ended'; reason: string | undefined };

function send(message: ThreadMessage): void {
  parentPort!.postMessage(message);
}

function run({ config, figures: memory }: ThreadInput): void {
  // The requests' umask must not become the whole process's.
  unshareUmask();
  const union = openUnion(config);
  const figures = new SharedFigures(memory);
  let device: number;
  try {
    device = mountFuse(config);
  } catch (failure) {
    union.close();
    throw failure;
  }
  const reportFault = (request: string, fault: unknown): void => {
    send({ kind: 'fault', text: `${request}: ${fault instanceof Error ? fault.stack : String(fault)}` });
  };
  const handler = new OverlayFileSystem(union, config);
  const session = new Session(handler, figures.counts, reportFault, config);
  const end = serveDevice(device, session, {
    started: () => send({ kind: 'ready' }),
    rested: () => figures.record(union),
    workOn: () => copyOn(union),
  });
  if (end !== 'unmounted') unmountFuse(config.target, true);
  closeDevice(device);
  const completed = completeCopies(union);
  if (completed < 0) reportFault('copies in the background', errnoName(completed));
  union.close();
  send({ kind: 'ended', reason: end === 'unmounted' ? undefined : `/dev/fuse failed: ${errnoName(end)}` });
}

function refuse(failure: unknown): void {
  const error = failure instanceof OverlayError ? failure : undefined;
  send({
    kind: 'refused',
    usage: error?.operation === 'usage',
    message: failure instanceof Error ? (failure.stack ?? failure.message) : String(failure),
    story: {
      operation: error?.operation ?? 'mount',
      path: error?.path,
      layer: error?.layer,
      errno: error?.errno,
      reason: error === undefined ? String(failure) : error.reason,
      remedy: error?.remedy,
    },
  });
}

parentPort!.once('message', (input: ThreadInput) => {
  try {
    run(input);
  } catch (failure) {
    refuse(failure);
  }
});
