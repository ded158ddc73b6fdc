// SPDX-License-Identifier: MIT
/** Entry of the server process that mountInBackground starts. */
import { Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { OverlayError, UsageError } from '../base/errors.js';
import type { StartAnswer, StartRequest } from './background.js';
import { removeServerFiles } from './registry.js';
import { serveMount } from './server.js';

const channel = new Socket({ fd: 3 });
// Whoever asked may be gone by the time there is an answer; the mount stays all the same.
channel.on('error', () => channel.destroy());

function answer(message: StartAnswer): void {
  channel.end(`${JSON.stringify(message)}\n`);
}

function logFault(text: string): void {
  process.stderr.write(`${new Date().toISOString()} ${text}\n`);
}

function storyOf(failure: unknown): StartAnswer {
  if (!(failure instanceof OverlayError)) {
    const error = failure as Error;
    return { usage: false, story: { operation: 'mount', reason: error.message }, stack: error.stack };
  }
  const { operation, path, layer, errno, reason, remedy, stack } = failure;
  return {
    usage: failure instanceof UsageError,
    story: { operation, path, layer, errno, reason, remedy },
    stack,
  };
}

createInterface({ input: channel }).once('line', (line) => {
  const { target, options } = JSON.parse(line) as StartRequest;
  serveMount(target, { ...options, onFault: logFault }, () => answer({ started: true })).then(
    (reason) => {
      if (reason !== undefined) logFault(reason);
      process.exit(reason === undefined ? 0 : 1);
    },
    (failure: unknown) => {
      removeServerFiles(process.pid);
      answer(storyOf(failure));
      channel.on('close', () => process.exit(1));
    },
  );
});
