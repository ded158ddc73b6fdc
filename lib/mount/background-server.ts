// SPDX-License-Identifier: MIT
/** What the server process that mountInBackground starts does: one request, one mount, until it is unmounted. */
import type { Duplex } from 'node:stream';
import { openServerChannel } from '../supervise/channel.js';
import { encodeError } from '../supervise/error-wire.js';
import { lineOf, readValue } from '../supervise/json-lines.js';
import { logFault } from '../supervise/log.js';
import { removeServerFiles } from '../supervise/server-files.js';
import { LONGEST_REQUEST, type StartAnswer, type StartRequest } from './background.js';
import { serveMount } from './server.js';

function answer(channel: Duplex, message: StartAnswer): void {
  channel.end(lineOf(message));
}

async function main(channel: Duplex): Promise<void> {
  const { target, options } = await readValue<StartRequest>(channel, { longest: LONGEST_REQUEST });
  const reason = await serveMount(target, { ...options, kept: true, onFault: logFault }, () =>
    answer(channel, { started: true }),
  );
  if (reason !== undefined) throw new Error(reason);
}

function refuse(channel: Duplex, failure: Error): void {
  removeServerFiles(process.pid);
  const answer: StartAnswer = { failed: encodeError(failure, 'mount') };
  if (channel.writable) channel.end(lineOf(answer), () => process.exit(1));
  else {
    logFault(failure.stack ?? failure.message);
    process.exit(1);
  }
}

async function serve(): Promise<void> {
  const channel = await openServerChannel();
  // The command that asked may be gone by the time there is an answer; the mount stays all the same.
  channel.on('error', () => channel.destroy());
  main(channel).then(
    () => process.exit(0),
    (failure: Error) => refuse(channel, failure),
  );
}

void serve();
