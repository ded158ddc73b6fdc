// SPDX-License-Identifier: MIT
/**
 * The control socket of a server: one JSON line asks, one answers. It lies in the runtime directory, which only its
 * user may enter.
 */
import { chmodSync, rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { OverlayError } from '../base/errors.js';
import { decodeError, encodeError, type WireError } from './error-wire.js';
import { lineOf, readValue, writeValue } from './json-lines.js';
import { serverFiles } from './server-files.js';

export interface Reply {
  value: unknown;
  /** Called when the client has it. */
  sent?: () => void;
}

type Answer = { value: unknown } | { failed: WireError };

const LONGEST_REQUEST = 4096;
const LONGEST_ANSWER = 1 << 20;
const LAST_ANSWER_MS = 1000;

/** Answers requests to this process. What `answer` throws is sent to the client. */
export function listenControl(answer: (request: unknown) => Promise<Reply>): Promise<Server> {
  const { socket: path } = serverFiles(process.pid);
  rmSync(path, { force: true });
  const server = createServer((socket) => {
    serveClient(socket, answer)
      // A client that goes away in the middle, or sends nonsense, is its own business.
      .catch(() => socket.destroy());
  });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, () => {
      chmodSync(path, 0o600);
      resolve(server);
    });
  });
}

async function serveClient(socket: Socket, answer: (request: unknown) => Promise<Reply>): Promise<void> {
  const request = await readValue(socket, { longest: LONGEST_REQUEST });
  try {
    const { value, sent } = await answer(request);
    socket.end(lineOf({ value } satisfies Answer), sent);
  } catch (failure) {
    socket.end(lineOf({ failed: encodeError(failure, 'answer') } satisfies Answer));
  }
}

/** Lets the client that asked for the end hear of it; one that hangs on does not keep the server. */
export function closeControl(control: Server): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, LAST_ANSWER_MS);
    control.close(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}

/** The server did not answer: it is gone, or says nothing. */
export class NoAnswer extends OverlayError {}

/** Asks a server; `timeout` in ms, 0 for as long as it takes. Throws NoAnswer, or what the server has thrown. */
export async function askControl(pid: number, request: unknown, timeout: number): Promise<unknown> {
  const socket = connect(serverFiles(pid).socket);
  socket.setTimeout(timeout, () => socket.destroy(new Error('it does not answer')));
  const answer = readValue<Answer>(socket, { longest: LONGEST_ANSWER });
  writeValue(socket, request);
  try {
    const said = await answer.catch((cause) => {
      const { message: reason } = cause as Error;
      throw new NoAnswer({ operation: 'ask the server', path: `process ${pid}`, reason, cause });
    });
    if ('failed' in said) throw decodeError(said.failed);
    return said.value;
  } finally {
    socket.destroy();
  }
}
