// SPDX-License-Identifier: MIT
/** What the server process that mountInBackground starts does: one request, one mount, until it is unmounted. */
import type { Duplex } from 'node:stream';
import { OverlayError, UsageError } from '../base/errors.js';
import { LONGEST_REQUEST, type StartAnswer, type StartRequest } from './background.js';
import { logFault } from './fault-log.js';
import { readLine } from './line.js';
import { removeServerFiles } from './registry.js';
import { serveMount } from './server.js';
import { openServerChannel } from './server-channel.js';

function answer(channel: Duplex, message: StartAnswer): void {
  channel.end(`${JSON.stringify(message)}\n`);
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

async function main(channel: Duplex): Promise<void> {
  const { target, options } = JSON.parse(await readLine(channel, LONGEST_REQUEST)) as StartRequest;
  const reason = await serveMount(target, { ...options, kept: true, onFault: logFault }, () =>
    answer(channel, { started: true }),
  );
  if (reason !== undefined) throw new Error(reason);
}

function refuse(channel: Duplex, failure: Error): void {
  removeServerFiles(process.pid);
  if (channel.writable) channel.end(`${JSON.stringify(storyOf(failure))}\n`, () => process.exit(1));
  else {
    logFault(failure.stack ?? failure.message);
    process.exit(1);
  }
}

async function serve(): Promise<void> {
  const channel = await openServerChannel();
  // Whoever asked may be gone by the time there is an answer; the mount stays all the same.
  channel.on('error', () => channel.destroy());
  main(channel).then(
    () => process.exit(0),
    (failure: Error) => refuse(channel, failure),
  );
}

void serve();
