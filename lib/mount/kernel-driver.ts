// SPDX-License-Identifier: MIT
/** The default driver: a serving thread on /dev/fuse. */
import { OverlayError, UsageError } from '../base/errors.js';
import { raiseReadAhead, unmountFuse } from '../fuse/mount.js';
import type { MountConfig, RunningMount } from './config.js';
import type { ThreadInput, ThreadMessage } from './serving-thread.js';
import { takeServingThread } from './serving-worker.js';
import { SharedFigures } from './shared-figures.js';

const READ_AHEAD_KIB = 1024;

/** Starts the serving thread; settles when the mount can be used, or with the reason why it cannot. */
export function startKernelDriver(
  config: MountConfig,
  reportFault: (text: string) => void,
): Promise<RunningMount> {
  const figures = new SharedFigures();
  const input: ThreadInput = { config, figures: figures.memory };
  const worker = takeServingThread();
  worker.postMessage(input);
  return new Promise((resolve, reject) => {
    let end: (reason: string | undefined) => void;
    const ended = new Promise<string | undefined>((settle) => {
      end = settle;
    });
    worker.on('message', (message: ThreadMessage) => {
      switch (message.kind) {
        case 'ready':
          raiseReadAhead(config.target, READ_AHEAD_KIB);
          resolve({
            figures: () => figures.read(),
            unmount: (detach) => unmountFuse(config.target, detach),
            ended,
          });
          break;
        case 'refused':
          reject(errorFrom(message));
          break;
        case 'fault':
          reportFault(message.text);
          break;
        case 'ended':
          end(message.reason);
          break;
      }
    });
    worker.on('error', (failure) => {
      // The thread is gone with its session: without this the mount would hang for ever.
      unmountFuse(config.target, true);
      reject(failure);
      end(`the serving thread failed: ${failure.stack ?? failure.message}`);
    });
  });
}

function errorFrom({ usage, story }: ThreadMessage & { kind: 'refused' }): Error {
  return usage ? new UsageError(story.reason ?? '', story.remedy) : new OverlayError(story);
}
