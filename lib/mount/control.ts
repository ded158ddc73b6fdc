// SPDX-License-Identifier: MIT
/**
 * The control socket of a server: one JSON line asks, one answers. It lies in a
 * directory that only its user may enter.
 */
import { chmodSync, rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { OverlayError } from '../base/errors.js';
import type { MountFigures } from './config.js';
import type { Mount } from './mount.js';
import { serverFiles } from './registry.js';

export type ControlRequest = { command: 'figures' } | { command: 'unmount'; detach: boolean };

export type ControlAnswer =
  | { figures: MountFigures }
  | { unmounted: true }
  | { error: string; code: string | undefined };

const LONGEST_LINE = 4096;
const ANSWER_TIMEOUT_MS = 5000;

/** Listens for this process's mount. */
export function listenControl(mount: Mount): Promise<Server> {
  const path = serverFiles(process.pid).socket;
  rmSync(path, { force: true });
  const server = createServer((socket) => serveClient(socket, mount));
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, () => {
      chmodSync(path, 0o600);
      resolve(server);
    });
  });
}

function serveClient(socket: Socket, mount: Mount): void {
  // A client that goes away in the middle is its own business.
  socket.on('error', () => socket.destroy());
  let received = 0;
  socket.on('data', (chunk) => {
    received += chunk.length;
    if (received > LONGEST_LINE) socket.destroy();
  });
  createInterface({ input: socket }).once('line', async (line) => {
    const answer = await answerLine(line, mount);
    socket.end(`${JSON.stringify(answer)}\n`);
  });
}

async function answerLine(line: string, mount: Mount): Promise<ControlAnswer> {
  try {
    const request = JSON.parse(line) as ControlRequest;
    switch (request.command) {
      case 'figures':
        return { figures: mount.figures() };
      case 'unmount':
        await mount.unmount({ detach: request.detach === true });
        return { unmounted: true };
      default:
        return { error: 'unknown command', code: undefined };
    }
  } catch (failure) {
    const error = failure as Error & { code?: string };
    return { error: error.message, code: error.code };
  }
}

/** Asks a server. Throws an OverlayError when it does not answer; `timeout` in ms, 0 for as long as it takes. */
export function askServer(
  pid: number,
  request: ControlRequest,
  timeout = ANSWER_TIMEOUT_MS,
): Promise<ControlAnswer> {
  return new Promise((resolve, reject) => {
    const socket = connect(serverFiles(pid).socket);
    const fail = (reason: string, cause?: unknown): void => {
      socket.destroy();
      reject(new OverlayError({ operation: 'ask the server', path: `process ${pid}`, reason, cause }));
    };
    socket.setTimeout(timeout, () => fail('it does not answer'));
    socket.on('error', (cause) => fail(cause.message, cause));
    socket.on('close', () => fail('it hung up'));
    socket.on('connect', () => socket.write(`${JSON.stringify(request)}\n`));
    createInterface({ input: socket }).once('line', (line) => {
      resolve(JSON.parse(line) as ControlAnswer);
      socket.destroy();
    });
  });
}
